package firesteel.data

import org.apache.spark.sql.catalyst.expressions.{SpecializedGetters, UnsafeArrayData}
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.Platform
import org.apache.spark.unsafe.bitset.BitSetMethods

/** Reads one number of a numeric type from a row or an array. */
private[data] sealed abstract class NumberReader {

  /** Returns the number as a double. */
  def double(from: SpecializedGetters, ordinal: Int): Double

  /** Stores the number in memory. */
  def store(from: SpecializedGetters, ordinal: Int, store: NumberStore, to: Long): Unit
}

private[data] object NumberReader {

  /** Returns the reader of a numeric type or of booleans. */
  def apply(dataType: DataType): NumberReader = dataType match {
    case BooleanType => Booleans
    case ByteType => Bytes
    case ShortType => Shorts
    case IntegerType => Ints
    case LongType => Longs
    case FloatType => Floats
    case DoubleType => Doubles
    case decimal: DecimalType => new Decimals(decimal)
    case other => throw new IllegalArgumentException(s"${other.catalogString} is not numeric")
  }

  private abstract class Integral extends NumberReader {
    def long(from: SpecializedGetters, ordinal: Int): Long
    override def double(from: SpecializedGetters, ordinal: Int): Double =
      long(from, ordinal).toDouble
    override def store(from: SpecializedGetters, ordinal: Int, store: NumberStore, to: Long): Unit =
      store.put(long(from, ordinal), to)
  }

  private abstract class Fractional extends NumberReader {
    override def store(from: SpecializedGetters, ordinal: Int, store: NumberStore, to: Long): Unit =
      store.put(double(from, ordinal), to)
  }

  private object Booleans extends Integral {
    override def long(from: SpecializedGetters, ordinal: Int): Long =
      if (from.getBoolean(ordinal)) 1 else 0
  }

  private object Bytes extends Integral {
    override def long(from: SpecializedGetters, ordinal: Int): Long = from.getByte(ordinal).toLong
  }

  private object Shorts extends Integral {
    override def long(from: SpecializedGetters, ordinal: Int): Long = from.getShort(ordinal).toLong
  }

  private object Ints extends Integral {
    override def long(from: SpecializedGetters, ordinal: Int): Long = from.getInt(ordinal).toLong
  }

  private object Longs extends Integral {
    override def long(from: SpecializedGetters, ordinal: Int): Long = from.getLong(ordinal)
  }

  private object Floats extends Fractional {
    override def double(from: SpecializedGetters, ordinal: Int): Double =
      from.getFloat(ordinal).toDouble
  }

  private object Doubles extends Fractional {
    override def double(from: SpecializedGetters, ordinal: Int): Double = from.getDouble(ordinal)
  }

  private final class Decimals(decimal: DecimalType) extends Fractional {
    override def double(from: SpecializedGetters, ordinal: Int): Double =
      from.getDecimal(ordinal, decimal.precision, decimal.scale).toDouble
  }
}

/** Copies the numbers of a whole array to memory. The caller has checked size and nulls. */
private[data] abstract class ArrayCopy {
  def apply(array: ArrayData, count: Int, to: Long): Unit
}

private[data] object ArrayCopy {

  /** Returns the copy of arrays of `source` into their element type. */
  def toElement(source: DataType): ArrayCopy = source match {
    case ByteType => new Plain(1, _.toByteArray(), Platform.BYTE_ARRAY_OFFSET)
    case ShortType => new Plain(2, _.toShortArray(), Platform.SHORT_ARRAY_OFFSET)
    case IntegerType => new Plain(4, _.toIntArray(), Platform.INT_ARRAY_OFFSET)
    case LongType => new Plain(8, _.toLongArray(), Platform.LONG_ARRAY_OFFSET)
    case FloatType => new Plain(4, _.toFloatArray(), Platform.FLOAT_ARRAY_OFFSET)
    case DoubleType => Narrowing
    case other => new Floats(NumberReader(other))
  }

  /** Returns the copy of arrays of `source` into doubles. */
  def toDoubles(source: DataType): ArrayCopy = source match {
    case DoubleType => new Plain(8, _.toDoubleArray(), Platform.DOUBLE_ARRAY_OFFSET)
    case other => new Doubles(NumberReader(other))
  }

  /** Returns the index of the first null of an array, or -1. */
  def firstNull(array: ArrayData): Int = array match {
    case unsafe: UnsafeArrayData
        if !BitSetMethods.anySet(
          unsafe.getBaseObject,
          unsafe.getBaseOffset + 8,
          (unsafe.numElements() + 63L) / 64
        ) =>
      -1
    case other =>
      var element = 0
      while (element < other.numElements() && !other.isNullAt(element)) element += 1
      if (element < other.numElements()) element else -1
  }

  /** Returns the offset of an array's values from its base offset. */
  private def header(array: UnsafeArrayData): Long =
    UnsafeArrayData.calculateHeaderPortionInBytes(array.numElements()).toLong

  private final class Plain(width: Int, values: ArrayData => AnyRef, offset: Int)
      extends ArrayCopy {
    override def apply(array: ArrayData, count: Int, to: Long): Unit = array match {
      case unsafe: UnsafeArrayData =>
        val from = unsafe.getBaseOffset + header(unsafe)
        Platform.copyMemory(unsafe.getBaseObject, from, null, to, count.toLong * width)
      case other =>
        Platform.copyMemory(values(other), offset.toLong, null, to, count.toLong * width)
    }
  }

  /** Copies doubles to floats. */
  object Narrowing extends ArrayCopy {
    override def apply(array: ArrayData, count: Int, to: Long): Unit = array match {
      case unsafe: UnsafeArrayData =>
        narrow(unsafe.getBaseObject, unsafe.getBaseOffset + header(unsafe), count, to)
      case other =>
        narrow(other.toDoubleArray(), Platform.DOUBLE_ARRAY_OFFSET.toLong, count, to)
    }
  }

  /** Narrows doubles in memory or in an array to floats in memory. */
  def narrow(base: AnyRef, offset: Long, count: Int, to: Long): Unit = {
    var i = 0
    while (i < count) {
      Platform.putFloat(null, to + 4L * i, Platform.getDouble(base, offset + 8L * i).toFloat)
      i += 1
    }
  }

  private final class Floats(reader: NumberReader) extends ArrayCopy {
    override def apply(array: ArrayData, count: Int, to: Long): Unit = {
      var i = 0
      while (i < count) {
        Platform.putFloat(null, to + 4L * i, reader.double(array, i).toFloat)
        i += 1
      }
    }
  }

  private final class Doubles(reader: NumberReader) extends ArrayCopy {
    override def apply(array: ArrayData, count: Int, to: Long): Unit = {
      var i = 0
      while (i < count) {
        Platform.putDouble(null, to + 8L * i, reader.double(array, i))
        i += 1
      }
    }
  }
}
