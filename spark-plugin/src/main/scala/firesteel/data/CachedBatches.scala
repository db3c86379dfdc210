package firesteel.data

import java.nio.{ByteBuffer, ByteOrder}

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.expressions.{Attribute, UnsafeArrayData}
import org.apache.spark.sql.columnar.CachedBatch
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.TableCacheQueryStageExec
import org.apache.spark.sql.execution.columnar.{
  DefaultCachedBatch,
  DefaultCachedBatchSerializer,
  InMemoryTableScanExec
}
import org.apache.spark.sql.execution.metric.SQLMetric
import org.apache.spark.sql.execution.vectorized.OnHeapColumnVector
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ColumnVector, ColumnarBatch}
import org.apache.spark.unsafe.Platform

/** Reads Spark's default cache column by column, for caches that hold arrays of numbers or bytes beside plain numbers.
  * Spark itself would convert these to rows and copy every value twice.
  */
private[firesteel] object CachedBatches {

  /** Returns the scan of the default cache that a plan is, below projections that only select columns, if all of its
    * columns are readable. Its output has the plan's columns.
    */
  def scan(plan: SparkPlan): Option[InMemoryTableScanExec] = plan match {
    case WholeStageCodegenExec(child) => scan(child)
    case InputAdapter(child) => scan(child)
    case ProjectExec(list, child) if list.forall(PlanShape.isColumn) => scan(child)
    case stage: TableCacheQueryStageExec => scan(stage.inMemoryTableScan)
    case scan: InMemoryTableScanExec => Some(scan).filter(isReadable)
    case _ => None
  }

  /** As [[scan]], if a column holds arrays or bytes: Spark itself reads a cache of numbers by columns, unless a session
    * has switched that off.
    */
  def scanOfLists(plan: SparkPlan): Option[InMemoryTableScanExec] =
    scan(plan).filter(_.output.exists(column => !isNumber(column.dataType)))

  private def isReadable(scan: InMemoryTableScanExec): Boolean =
    scan.relation.cacheBuilder.serializer.getClass == classOf[DefaultCachedBatchSerializer] &&
      scan.predicates.isEmpty && scan.attributes.forall(column => isReadable(column.dataType))

  /** Returns the columnar batches of a readable scan, in the order of its output. */
  def columnarBatches(scan: InMemoryTableScanExec): RDD[ColumnarBatch] = {
    val columns = scan.attributes.map(column => place(scan.relation.output, column))
    val types = scan.attributes.map(_.dataType)
    val read = new Reading(columns.toArray, types.toArray, scan.longMetric("numOutputRows"))
    scan.relation.cacheBuilder.cachedColumnBuffers.mapPartitions(_.map(read))
  }

  private def place(output: Seq[Attribute], column: Attribute): Int =
    output.indexWhere(_.exprId == column.exprId)

  private def isReadable(dataType: DataType): Boolean = dataType match {
    case BinaryType => true
    case ArrayType(element, _) => isNumber(element)
    case other => isNumber(other)
  }

  private def isNumber(dataType: DataType): Boolean = dataType match {
    case BooleanType | ByteType | ShortType | IntegerType | LongType | FloatType | DoubleType =>
      true
    case _ => false
  }

  private final class Reading(columns: Array[Int], types: Array[DataType], rows: SQLMetric)
      extends (CachedBatch => ColumnarBatch)
      with Serializable {

    override def apply(batch: CachedBatch): ColumnarBatch = batch match {
      case cached: DefaultCachedBatch =>
        val vectors = columns.indices.map { i =>
          vector(cached.buffers(columns(i)), types(i), cached.numRows)
        }
        rows += cached.numRows.toLong
        new ColumnarBatch(vectors.toArray, cached.numRows)
      case other =>
        throw new IllegalStateException(s"${other.getClass.getName} is not of the default cache")
    }

    private def vector(bytes: Array[Byte], dataType: DataType, rows: Int): ColumnVector =
      if (isNumber(dataType)) {
        val vector = new OnHeapColumnVector(rows, dataType)
        SqlPrivate.decompress(bytes, vector, dataType, rows)
        vector
      } else new CachedLists(bytes, dataType, rows)
  }
}

/** A column of arrays or bytes in the layout of Spark's default cache: the number of nulls, their rows, and for every
  * other row its length in bytes and its bytes. The bytes of an array are those of an `UnsafeArrayData`.
  */
private[firesteel] final class CachedLists(val bytes: Array[Byte], dataType: DataType, rows: Int)
    extends ReadOnlyVector(dataType) {

  private val starts = new Array[Int](rows)
  private val lengths = new Array[Int](rows)
  private val nulls = index()

  /** Returns the start of a row's bytes, as an offset of `Platform` into [[bytes]]. */
  def offset(row: Int): Long = Platform.BYTE_ARRAY_OFFSET.toLong + starts(row)

  /** Returns the number of bytes of a row, -1 if it is null. */
  def length(row: Int): Int = lengths(row)

  /** Returns the bytes or the array of a row that is not null. */
  def value(row: Int): Any = dataType match {
    case BinaryType => getBinary(row)
    case _ => point(new UnsafeArrayData, row)
  }

  /** Makes an array that of a row that is not null, and returns it. */
  def point(array: UnsafeArrayData, row: Int): UnsafeArrayData = {
    array.pointTo(bytes, offset(row), length(row))
    array
  }

  private def index(): Int = {
    val buffer = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder)
    val missing = buffer.getInt()
    var i = 0
    while (i < missing) {
      lengths(buffer.getInt()) = -1
      i += 1
    }
    var place = buffer.position()
    i = 0
    while (i < rows) {
      if (lengths(i) == 0) {
        lengths(i) = buffer.getInt(place)
        starts(i) = place + Integer.BYTES
        place = starts(i) + lengths(i)
      }
      i += 1
    }
    if (place != bytes.length) {
      throw new IllegalStateException(
        s"$rows rows of a cached column of ${dataType.catalogString} end at byte $place of ${bytes.length}"
      )
    }
    missing
  }

  override def hasNull: Boolean = nulls > 0

  override def numNulls: Int = nulls

  override def isNullAt(row: Int): Boolean = lengths(row) < 0

  override def getBinary(row: Int): Array[Byte] =
    bytes.slice(starts(row), starts(row) + lengths(row))
}

/** Writes the bytes of cached columns, with one copy for each row. */
private[data] final class CachedBytesWriter(
    column: SourceColumn,
    builder: DenseBuilder,
    fallback: VectorWriter
) extends VectorWriter {

  override def write(batch: ColumnarBatch, from: Int, count: Int, at: Int): Unit =
    batch.column(column.ordinal) match {
      case cached: CachedLists =>
        var i = 0
        while (i < count) {
          val length = cached.length(from + i)
          if (length < 0) column.nullValue(at + i)
          if (length != builder.size) column.wrongSize(at + i, length, builder.size)
          val to = builder.address(at + i)
          Platform.copyMemory(cached.bytes, cached.offset(from + i), null, to, length.toLong)
          i += 1
        }
      case _ => fallback.write(batch, from, count, at)
    }
}

/** Writes the arrays of cached columns, with one copy for each row. */
private[data] final class CachedArraysWriter(writer: ArrayRowWriter, fallback: VectorWriter)
    extends VectorWriter {

  private val array = new UnsafeArrayData

  override def write(batch: ColumnarBatch, from: Int, count: Int, at: Int): Unit =
    batch.column(writer.column.ordinal) match {
      case cached: CachedLists =>
        var i = 0
        while (i < count) {
          val length = cached.length(from + i)
          if (length < 0) writer.column.nullValue(at + i)
          writer.put(cached.point(array, from + i), at + i)
          i += 1
        }
      case _ => fallback.write(batch, from, count, at)
    }
}
