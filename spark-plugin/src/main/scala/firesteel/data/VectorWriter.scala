package firesteel.data

import org.apache.arrow.vector.complex.ListVector
import org.apache.spark.sql.execution.vectorized.WritableColumnVector
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnVector, ColumnarBatch}

/** Writes one column of the plan from columnar batches, several rows at once. */
private[data] abstract class VectorWriter {

  /** Writes rows.
    *
    * @param batch
    *   the source, valid during the call
    * @param from
    *   the first row of the source
    * @param count
    *   the number of rows
    * @param at
    *   the index of the first row in the batch that is being filled
    */
  def write(batch: ColumnarBatch, from: Int, count: Int, at: Int): Unit
}

/** Writes row by row, for types without a faster way. */
private[data] final class RowByRow(writer: RowWriter) extends VectorWriter {

  override def write(batch: ColumnarBatch, from: Int, count: Int, at: Int): Unit = {
    var i = 0
    while (i < count) {
      writer.write(batch.getRow(from + i), at + i)
      i += 1
    }
  }
}

/** Writes arrays of numbers, with one check for nulls a batch and one copy a row. */
private[data] final class ArrayVectorWriter(
    column: SourceColumn,
    builder: DenseBuilder,
    copy: ArrayCopy
) extends VectorWriter {

  override def write(batch: ColumnarBatch, from: Int, count: Int, at: Int): Unit = {
    val vector = batch.column(column.ordinal)
    val nulls = vector.hasNull
    val nullElements = ArrayVectorWriter.mayHaveNullElements(vector)
    var i = 0
    while (i < count) {
      if (nulls && vector.isNullAt(from + i)) column.nullValue(at + i)
      val array = vector.getArray(from + i)
      if (array.numElements() != builder.size)
        column.wrongSize(at + i, array.numElements(), builder.size)
      if (nullElements) {
        val missing = ArrayCopy.firstNull(array)
        if (missing >= 0) column.nullElement(at + i, missing)
      }
      copy(array, builder.size, builder.address(at + i))
      i += 1
    }
  }
}

private object ArrayVectorWriter {

  /** Returns true if an array of the vector may hold a null; one check for all arrays where possible. */
  def mayHaveNullElements(vector: ColumnVector): Boolean = vector match {
    case writable: WritableColumnVector => writable.arrayData().hasNull
    case arrow: ArrowColumnVector =>
      arrow.getValueVector match {
        case list: ListVector => list.getDataVector.getNullCount > 0
        case _ => true
      }
    case _ => true // ORC's vectors do not show their elements
  }
}

/** Writes numeric columns, one after the other, into rows of values. */
private[data] final class NumbersVectorWriter(
    columns: Array[SourceColumn],
    types: Array[DataType],
    address: Int => Long,
    rowBytes: Long,
    store: NumberStore
) extends VectorWriter {

  override def write(batch: ColumnarBatch, from: Int, count: Int, at: Int): Unit = {
    var to = address(at)
    var c = 0
    while (c < columns.length) {
      val vector = batch.column(columns(c).ordinal)
      if (vector.hasNull) requireValues(vector, columns(c), from, count, at)
      NumbersVectorWriter.copy(vector, types(c), from, count, to, rowBytes, store)
      to += store.width
      c += 1
    }
  }

  private def requireValues(
      v: ColumnVector,
      column: SourceColumn,
      from: Int,
      count: Int,
      at: Int
  ): Unit = {
    var i = 0
    while (i < count) {
      if (v.isNullAt(from + i)) column.nullValue(at + i)
      i += 1
    }
  }
}

private object NumbersVectorWriter {

  /** Copies one numeric vector to memory, with `stride` bytes between two values. Each type has its own loop. */
  def copy(
      vector: ColumnVector,
      dataType: DataType,
      from: Int,
      count: Int,
      to: Long,
      stride: Long,
      store: NumberStore
  ): Unit = {
    var i = 0
    var place = to
    dataType match {
      case FloatType =>
        while (i < count) {
          store.put(vector.getFloat(from + i).toDouble, place)
          place += stride
          i += 1
        }
      case DoubleType =>
        while (i < count) {
          store.put(vector.getDouble(from + i), place)
          place += stride
          i += 1
        }
      case decimal: DecimalType =>
        while (i < count) {
          val value = vector.getDecimal(from + i, decimal.precision, decimal.scale)
          store.put(value.toDouble, place)
          place += stride
          i += 1
        }
      case LongType =>
        while (i < count) {
          store.put(vector.getLong(from + i), place)
          place += stride
          i += 1
        }
      case IntegerType =>
        while (i < count) {
          store.put(vector.getInt(from + i).toLong, place)
          place += stride
          i += 1
        }
      case ShortType =>
        while (i < count) {
          store.put(vector.getShort(from + i).toLong, place)
          place += stride
          i += 1
        }
      case ByteType =>
        while (i < count) {
          store.put(vector.getByte(from + i).toLong, place)
          place += stride
          i += 1
        }
      case _ =>
        while (i < count) {
          store.put(if (vector.getBoolean(from + i)) 1L else 0L, place)
          place += stride
          i += 1
        }
    }
  }
}
