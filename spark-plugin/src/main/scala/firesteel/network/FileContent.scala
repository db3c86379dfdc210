package firesteel.network

import java.util

import firesteel.util.Sha256

/** The bytes of a file in memory. Two files of one kind are equal if their bytes are. */
private[network] abstract class FileContent(private[firesteel] val bytes: Array[Byte])
    extends Serializable {

  /** A copy of the file. */
  def toBytes: Array[Byte] = bytes.clone()

  /** The SHA-256 of the file in hexadecimal digits. */
  lazy val hash: String = Sha256.hex(bytes)

  override def equals(other: Any): Boolean = other match {
    case that: FileContent => getClass == that.getClass && util.Arrays.equals(bytes, that.bytes)
    case _ => false
  }

  override def hashCode: Int = hash.hashCode
}
