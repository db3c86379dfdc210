package firesteel.data

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.UnsafeRow
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types.DoubleType
import org.apache.spark.unsafe.Platform

/** Writes one column of the plan from rows. */
private[data] sealed abstract class RowWriter {

  /** Writes a row.
    *
    * @param row
    *   the row
    * @param at
    *   the index of the row in the batch
    */
  def write(row: InternalRow, at: Int): Unit
}

/** Writes an array of numbers for each row. */
private[data] final class ArrayRowWriter(
    val column: SourceColumn,
    containsNull: Boolean,
    builder: DenseBuilder,
    copy: ArrayCopy
) extends RowWriter {

  override def write(row: InternalRow, at: Int): Unit = {
    column.requireValue(row, at)
    put(row.getArray(column.ordinal), at)
  }

  /** Writes a row's array. */
  def put(array: ArrayData, at: Int): Unit = {
    if (array.numElements() != builder.size) column.wrongSize(at, array.numElements(), builder.size)
    if (containsNull) {
      val missing = ArrayCopy.firstNull(array)
      if (missing >= 0) column.nullElement(at, missing)
    }
    copy(array, builder.size, builder.address(at))
  }
}

/** Writes bytes for each row. */
private[data] final class BinaryRowWriter(val column: SourceColumn, builder: DenseBuilder)
    extends RowWriter {

  override def write(row: InternalRow, at: Int): Unit = {
    column.requireValue(row, at)
    row match {
      case unsafe: UnsafeRow =>
        // The offset of the bytes in the row, and their number: see UnsafeRow.getBinary.
        val place = unsafe.getLong(column.ordinal)
        val from = unsafe.getBaseOffset + (place >> 32)
        copy(unsafe.getBaseObject, from, place.toInt, at)
      case other =>
        val bytes = other.getBinary(column.ordinal)
        copy(bytes, Platform.BYTE_ARRAY_OFFSET.toLong, bytes.length, at)
    }
  }

  private def copy(base: AnyRef, from: Long, count: Int, at: Int): Unit = {
    if (count != builder.size) column.wrongSize(at, count, builder.size)
    Platform.copyMemory(base, from, null, builder.address(at), count.toLong)
  }
}

/** Writes numeric columns, which form one row of values together. */
private[data] final class NumbersRowWriter(
    columns: Array[SourceColumn],
    readers: Array[NumberReader],
    address: Int => Long,
    store: NumberStore
) extends RowWriter {

  override def write(row: InternalRow, at: Int): Unit = {
    var to = address(at)
    var i = 0
    while (i < columns.length) {
      columns(i).requireValue(row, at)
      readers(i).store(row, columns(i).ordinal, store, to)
      to += store.width
      i += 1
    }
  }
}

/** Writes Spark ML vectors as dense rows. */
private[data] final class VectorRowWriter(
    column: SourceColumn,
    builder: DenseBuilder,
    wide: Boolean
) extends RowWriter {
  import VectorRowWriter._

  private val width = if (wide) 8 else 4
  private val copy = if (wide) ArrayCopy.toDoubles(DoubleType) else ArrayCopy.Narrowing

  override def write(row: InternalRow, at: Int): Unit = {
    column.requireValue(row, at)
    val vector = row.getStruct(column.ordinal, Fields)
    val values = vector.getArray(ValuesField)
    val to = builder.address(at)
    if (vector.getByte(KindField) == DenseKind) {
      if (values.numElements() != builder.size)
        column.wrongSize(at, values.numElements(), builder.size)
      copy(values, builder.size, to)
    } else {
      if (vector.getInt(SizeField) != builder.size) {
        column.wrongSize(at, vector.getInt(SizeField), builder.size)
      }
      val indices = column.indices(vector, values, at)
      Platform.setMemory(to, 0, builder.rowBytes)
      var i = 0
      while (i < values.numElements()) {
        val index = indices.getInt(i)
        if (index < 0 || index >= builder.size) column.wrongIndex(at, index, builder.size)
        if (wide) Platform.putDouble(null, to + index.toLong * width, values.getDouble(i))
        else Platform.putFloat(null, to + index.toLong * width, values.getDouble(i).toFloat)
        i += 1
      }
    }
  }
}

/** The layout of a vector in a row, see Spark's `VectorUDT`. */
private[data] object VectorRowWriter {
  val Fields = 4
  val KindField = 0
  val SizeField = 1
  val IndicesField = 2
  val ValuesField = 3
  val DenseKind: Byte = 1
}

/** Writes Spark ML vectors in CSR form. */
private[data] final class SparseRowWriter(column: SourceColumn, builder: SparseBuilder)
    extends RowWriter {
  import VectorRowWriter._

  override def write(row: InternalRow, at: Int): Unit = {
    column.requireValue(row, at)
    val vector = row.getStruct(column.ordinal, Fields)
    val values = vector.getArray(ValuesField)
    val count = values.numElements()
    builder.reserve(count)
    var i = 0
    if (vector.getByte(KindField) == DenseKind) {
      if (count != builder.size) column.wrongSize(at, count, builder.size)
      while (i < count) {
        val value = values.getDouble(i).toFloat
        if (value != 0) builder.put(i, value) // NaN is not equal to 0
        i += 1
      }
    } else {
      if (vector.getInt(SizeField) != builder.size) {
        column.wrongSize(at, vector.getInt(SizeField), builder.size)
      }
      val indices = column.indices(vector, values, at)
      var last = -1
      while (i < count) {
        val index = indices.getInt(i)
        if (index <= last || index >= builder.size) column.wrongIndex(at, index, builder.size)
        builder.put(index, values.getDouble(i).toFloat)
        last = index
        i += 1
      }
    }
    builder.end(at)
  }
}
