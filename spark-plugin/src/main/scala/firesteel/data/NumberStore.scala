package firesteel.data

import org.apache.spark.unsafe.Platform

/** Stores a number in memory as an element type that can represent it (see `ColumnType.common`).
  *
  * @param width
  *   the number of bytes of a stored number
  */
private[data] sealed abstract class NumberStore(val width: Int) {
  def put(value: Long, to: Long): Unit
  def put(value: Double, to: Long): Unit
}

private[data] object NumberStore {

  def apply(element: ElementType): NumberStore = element match {
    case ElementType.U8 | ElementType.I8 => Bytes
    case ElementType.I16 => Shorts
    case ElementType.I32 => Ints
    case ElementType.I64 => Longs
    case ElementType.F32 => Floats
  }

  private object Bytes extends NumberStore(1) {
    override def put(value: Long, to: Long): Unit = Platform.putByte(null, to, value.toByte)
    override def put(value: Double, to: Long): Unit = put(value.toLong, to)
  }

  private object Shorts extends NumberStore(2) {
    override def put(value: Long, to: Long): Unit = Platform.putShort(null, to, value.toShort)
    override def put(value: Double, to: Long): Unit = put(value.toLong, to)
  }

  private object Ints extends NumberStore(4) {
    override def put(value: Long, to: Long): Unit = Platform.putInt(null, to, value.toInt)
    override def put(value: Double, to: Long): Unit = put(value.toLong, to)
  }

  private object Longs extends NumberStore(8) {
    override def put(value: Long, to: Long): Unit = Platform.putLong(null, to, value)
    override def put(value: Double, to: Long): Unit = put(value.toLong, to)
  }

  object Floats extends NumberStore(4) {
    override def put(value: Long, to: Long): Unit = Platform.putFloat(null, to, value.toFloat)
    override def put(value: Double, to: Long): Unit = Platform.putFloat(null, to, value.toFloat)
  }

  object Doubles extends NumberStore(8) {
    override def put(value: Long, to: Long): Unit = Platform.putDouble(null, to, value.toDouble)
    override def put(value: Double, to: Long): Unit = Platform.putDouble(null, to, value)
  }
}
