package firesteel.network

import java.nio.{ByteBuffer, ByteOrder}
import java.security.MessageDigest
import java.util

/** A safetensors file in memory; two are equal by their content. */
private[firesteel] final class SafeTensors private (private[firesteel] val bytes: Array[Byte])
    extends Serializable {

  /** A copy of the file. */
  def toBytes: Array[Byte] = bytes.clone()

  /** The SHA-256 of the file in hexadecimal digits. */
  lazy val hash: String =
    MessageDigest.getInstance("SHA-256").digest(bytes).map(byte => f"$byte%02x").mkString

  override def equals(other: Any): Boolean = other match {
    case that: SafeTensors => util.Arrays.equals(bytes, that.bytes)
    case _ => false
  }

  override def hashCode: Int = hash.hashCode

  override def toString: String = s"${bytes.length} bytes of weights"
}

private[firesteel] object SafeTensors {

  /** A file begins with the length of its header, a JSON object. */
  private val LengthBytes = 8

  /** A file in memory, copied; its tensors are not looked at.
    *
    * @throws java.lang.IllegalArgumentException
    *   when it is no safetensors file
    */
  def apply(bytes: Array[Byte]): SafeTensors = {
    val header =
      if (bytes.length < LengthBytes) 0L
      else ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong
    if (header < 2 || header > bytes.length.toLong - LengthBytes || bytes(LengthBytes) != '{') {
      throw new IllegalArgumentException(
        s"the weights, ${bytes.length} bytes, are no safetensors file"
      )
    }
    new SafeTensors(bytes.clone())
  }
}
