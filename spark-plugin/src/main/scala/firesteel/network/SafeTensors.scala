package firesteel.network

import java.nio.{ByteBuffer, ByteOrder}

/** A safetensors file in memory. */
private[firesteel] final class SafeTensors private (content: Array[Byte])
    extends FileContent(content) {

  override def toString: String = s"${bytes.length} bytes of weights"
}

private[firesteel] object SafeTensors {

  /** A file begins with the length of its header, a JSON object. */
  private val LengthBytes = 8

  /** Copies a file. Its tensors are not checked.
    *
    * @throws java.lang.IllegalArgumentException
    *   when the bytes are not a safetensors file
    */
  def apply(bytes: Array[Byte]): SafeTensors = {
    val header =
      if (bytes.length < LengthBytes) 0L
      else ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong
    if (header < 2 || header > bytes.length.toLong - LengthBytes || bytes(LengthBytes) != '{') {
      throw new IllegalArgumentException(
        s"the weights, ${bytes.length} bytes, are not a safetensors file"
      )
    }
    new SafeTensors(bytes.clone())
  }
}
