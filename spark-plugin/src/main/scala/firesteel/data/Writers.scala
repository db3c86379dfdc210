package firesteel.data

import org.apache.arrow.memory.BufferAllocator
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.types._

/** The positions of the plan's columns in the source rows.
  *
  * @param columns
  *   for each user's column its index in the rows and its type
  */
private[firesteel] final case class Source(columns: Map[String, (Int, DataType)])

/** One column of the plan: its Arrow buffers and the writers that fill them. */
private[data] final case class Writer(
    builder: ColumnBuilder,
    rows: RowWriter,
    vectors: VectorWriter
)

/** Creates the writers of a plan. */
private[data] final class Writers(
    allocator: BufferAllocator,
    source: Source,
    position: Position
) {

  /** Returns a writer for each column of the plan, in the order of the stream. */
  def apply(plan: DataPlan): Seq[Writer] =
    plan.inputs.map(input) ++ plan.labels.map(label) ++ plan.weight.map(weight) ++
      plan.indicator.map(indicator)

  private def sourceColumn(name: String): SourceColumn =
    new SourceColumn(name, source.columns(name)._1, position)

  private def typeOf(column: String): DataType = source.columns(column)._2

  private def input(input: InputColumn): Writer =
    if (input.format == InputFormat.Sparse) {
      val builder = new SparseBuilder(allocator, input.name, input.size)
      val rows = new SparseRowWriter(sourceColumn(input.column), builder)
      Writer(builder, rows, new RowByRow(rows))
    } else {
      val arrow = ColumnBuilder.arrowType(input.element)
      val builder = new DenseBuilder(allocator, input.name, arrow, input.element.width, input.size)
      typeOf(input.columns.head) match {
        case VectorType => vectors(sourceColumn(input.column), builder, wide = false)
        case array: ArrayType => arrays(sourceColumn(input.column), array, builder, wide = false)
        case BinaryType =>
          val rows = new BinaryRowWriter(sourceColumn(input.column), builder)
          val cached = new CachedBytesWriter(rows.column, builder, new RowByRow(rows))
          Writer(builder, rows, bulk(rows.column, builder, narrow = false, cached))
        case _ => numbers(input.columns, builder, builder.address(_), NumberStore(input.element))
      }
    }

  private def label(label: LabelColumn): Writer =
    if (label.kind.size == 1) {
      val builder = new ScalarBuilder(allocator, label.column, ColumnBuilder.Float64, 8)
      numbers(Seq(label.column), builder, _ * 8L + builder.address, NumberStore.Doubles)
    } else {
      val builder =
        new DenseBuilder(allocator, label.column, ColumnBuilder.Float64, 8, label.kind.size)
      typeOf(label.column) match {
        case array: ArrayType => arrays(sourceColumn(label.column), array, builder, wide = true)
        case _ => vectors(sourceColumn(label.column), builder, wide = true)
      }
    }

  private def weight(column: String): Writer = {
    val builder = new ScalarBuilder(allocator, column, ColumnBuilder.Float32, 4)
    numbers(Seq(column), builder, _ * 4L + builder.address, NumberStore.Floats)
  }

  private def indicator(column: String): Writer = {
    val arrow = ColumnBuilder.arrowType(ElementType.U8)
    val builder = new ScalarBuilder(allocator, column, arrow, 1)
    numbers(Seq(column), builder, _ + builder.address, NumberStore(ElementType.U8))
  }

  private def vectors(column: SourceColumn, builder: DenseBuilder, wide: Boolean): Writer = {
    require(
      builder.width == (if (wide) 8 else 4),
      s"column '${column.name}' holds vectors, whose values are not ${builder.width} bytes wide"
    )
    val rows = new VectorRowWriter(column, builder, wide)
    Writer(builder, rows, bulk(column, builder, !wide, new RowByRow(rows)))
  }

  private def arrays(
      column: SourceColumn,
      array: ArrayType,
      builder: DenseBuilder,
      wide: Boolean
  ): Writer = {
    val element = array.elementType
    val copy = if (wide) ArrayCopy.toDoubles(element) else ArrayCopy.toElement(element)
    val rows = new ArrayRowWriter(column, array.containsNull, builder, copy)
    val vectors = new CachedArraysWriter(rows, new ArrayVectorWriter(column, builder, copy))
    val narrow = !wide && element == DoubleType
    val inBulk = if (wide) element == DoubleType else !element.isInstanceOf[DecimalType]
    Writer(builder, rows, if (inBulk) bulk(column, builder, narrow, vectors) else vectors)
  }

  private def bulk(
      column: SourceColumn,
      builder: DenseBuilder,
      narrow: Boolean,
      fallback: VectorWriter
  ): VectorWriter = new ArrowVectorWriter(column.ordinal, builder, narrow, fallback)

  private def numbers(
      names: Seq[String],
      builder: ColumnBuilder,
      address: Int => Long,
      store: NumberStore
  ): Writer = {
    val columns = names.map(sourceColumn).toArray
    val types = names.map(typeOf).toArray
    Writer(
      builder,
      new NumbersRowWriter(columns, types.map(NumberReader(_)), address, store),
      new NumbersVectorWriter(columns, types, address, builder.rowBytes, store)
    )
  }
}
