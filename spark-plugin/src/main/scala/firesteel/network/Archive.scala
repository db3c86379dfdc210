package firesteel.network

import java.security.MessageDigest
import java.util

/** What `torch.jit.save` wrote, in memory; two are equal by their content. */
private[firesteel] final class Archive private (private[firesteel] val bytes: Array[Byte])
    extends Serializable {

  /** A copy of it. */
  def toBytes: Array[Byte] = bytes.clone()

  /** Its SHA-256 in hexadecimal digits. */
  lazy val hash: String =
    MessageDigest.getInstance("SHA-256").digest(bytes).map(byte => f"$byte%02x").mkString

  override def equals(other: Any): Boolean = other match {
    case that: Archive => util.Arrays.equals(bytes, that.bytes)
    case _ => false
  }

  override def hashCode: Int = hash.hashCode

  override def toString: String = s"${bytes.length} bytes"
}

private[firesteel] object Archive {

  /** An archive is a zip file, which begins so. */
  private val Zip = "PK".getBytes("US-ASCII")

  /** An archive in memory, copied; what is in it is not looked at.
    *
    * @throws java.lang.IllegalArgumentException
    *   when it is none
    */
  def apply(bytes: Array[Byte]): Archive = {
    require(
      bytes.startsWith(Zip),
      s"the module, ${bytes.length} bytes, is no archive of torch.jit.save"
    )
    new Archive(bytes.clone())
  }
}
