package firesteel.data

import org.apache.spark.sql.types.{DataType, Decimal}
import org.apache.spark.sql.vectorized.{ColumnVector, ColumnarArray, ColumnarMap}
import org.apache.spark.unsafe.types.UTF8String

/** A column vector without nulls and without values. A subclass overrides the getters of the values that it has. */
private[firesteel] abstract class ReadOnlyVector(dataType: DataType)
    extends ColumnVector(dataType) {

  // The owner of the values closes them.
  override def close(): Unit = ()

  override def hasNull: Boolean = false

  override def numNulls: Int = 0

  override def isNullAt(row: Int): Boolean = false

  override def getBoolean(row: Int): Boolean = unsupported("booleans")

  override def getByte(row: Int): Byte = unsupported("bytes")

  override def getShort(row: Int): Short = unsupported("shorts")

  override def getInt(row: Int): Int = unsupported("ints")

  override def getLong(row: Int): Long = unsupported("longs")

  override def getFloat(row: Int): Float = unsupported("floats")

  override def getDouble(row: Int): Double = unsupported("doubles")

  override def getArray(row: Int): ColumnarArray = unsupported("columnar arrays")

  override def getMap(row: Int): ColumnarMap = unsupported("maps")

  override def getDecimal(row: Int, precision: Int, scale: Int): Decimal = unsupported("decimals")

  override def getUTF8String(row: Int): UTF8String = unsupported("strings")

  override def getBinary(row: Int): Array[Byte] = unsupported("binaries")

  override def getChild(ordinal: Int): ColumnVector = unsupported("children")

  private def unsupported(what: String): Nothing =
    throw new UnsupportedOperationException(s"a column of ${dataType.catalogString} has no $what")
}
