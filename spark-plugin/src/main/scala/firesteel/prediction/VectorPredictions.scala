package firesteel.prediction

import firesteel.data.ReadOnlyVector
import org.apache.spark.sql.types.Decimal
import org.apache.spark.sql.types.{ArrayType, ByteType, DataType, DoubleType, IntegerType}
import org.apache.spark.sql.vectorized.{
  ArrowColumnVector,
  ColumnVector,
  ColumnarArray,
  ColumnarBatch
}
import org.apache.spark.unsafe.types.UTF8String

/** Predicts columnar batches: the vectors that pass through are returned beside the new ones. */
private[prediction] final class VectorPredictions(
    task: PredictionTask,
    batches: NativeBatches,
    child: Iterator[ColumnarBatch]
) extends Iterator[ColumnarBatch] {

  private val places =
    task.passed.map(column => task.input.indexWhere(_.exprId == column.exprId))
  private var batch: ColumnarBatch = _
  private var from = 0
  private var end = 0

  override def hasNext: Boolean = from < end || advance()

  override def next(): ColumnarBatch = {
    if (!hasNext) throw new NoSuchElementException("the partition has no further batch")
    batches.begin()
    var rows = 0
    while (!batches.filler.full && from + rows < end)
      rows += batches.filler.add(batch, from + rows, end)
    val outputs = batches.predict()
    val passed = places.map(place => new Shifted(batch.column(place), from))
    val computed = outputs.columns.zip(task.outputs).map {
      case (numbers, kind) if kind.dataType == DoubleType => new ArrowColumnVector(numbers.vector)
      case (numbers, kind) => new DenseVectors(numbers, kind.dataType)
    }
    from += rows
    new ColumnarBatch((passed ++ computed).toArray, rows)
  }

  private def advance(): Boolean = {
    while (from == end && child.hasNext) {
      batch = child.next()
      from = 0
      end = batch.numRows
    }
    if (from == end) batches.close()
    from < end
  }
}

/** The layout of a dense Spark ML vector, see Spark's `VectorUDT`. */
private object DenseVector {
  val Kind: Byte = 1
}

/** A view of another vector from a row on; atomic types only. */
private final class Shifted(vector: ColumnVector, by: Int) extends ReadOnlyVector(vector.dataType) {

  override def hasNull: Boolean = vector.hasNull

  override def numNulls: Int = vector.numNulls

  override def isNullAt(row: Int): Boolean = vector.isNullAt(row + by)

  override def getBoolean(row: Int): Boolean = vector.getBoolean(row + by)

  override def getByte(row: Int): Byte = vector.getByte(row + by)

  override def getShort(row: Int): Short = vector.getShort(row + by)

  override def getInt(row: Int): Int = vector.getInt(row + by)

  override def getLong(row: Int): Long = vector.getLong(row + by)

  override def getFloat(row: Int): Float = vector.getFloat(row + by)

  override def getDouble(row: Int): Double = vector.getDouble(row + by)

  override def getDecimal(row: Int, precision: Int, scale: Int): Decimal =
    vector.getDecimal(row + by, precision, scale)

  override def getUTF8String(row: Int): UTF8String = vector.getUTF8String(row + by)

  override def getBinary(row: Int): Array[Byte] = vector.getBinary(row + by)
}

/** Numbers of a batch as dense Spark ML vectors. */
private final class DenseVectors(numbers: OutputMatrix, dataType: DataType)
    extends ReadOnlyVector(dataType) {

  private val kind: ColumnVector = new ReadOnlyVector(ByteType) {
    override def getByte(row: Int): Byte = DenseVector.Kind
  }

  private val none: ColumnVector = new ReadOnlyVector(IntegerType) {
    override def hasNull: Boolean = true
    override def isNullAt(row: Int): Boolean = true
  }

  private val values: ColumnVector = new ReadOnlyVector(ArrayType(DoubleType, false)) {
    private val all = new ArrowColumnVector(numbers.vector)
    override def getArray(row: Int): ColumnarArray =
      new ColumnarArray(all, row * numbers.width, numbers.width)
  }

  /** The fields `type`, `size`, `indices` and `values`. */
  override def getChild(ordinal: Int): ColumnVector = Seq(kind, none, none, values)(ordinal)
}
