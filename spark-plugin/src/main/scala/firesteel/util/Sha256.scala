package firesteel.util

import java.security.MessageDigest
import java.util.HexFormat

/** SHA-256 digests. */
private[firesteel] object Sha256 {

  /** Returns the digest of bytes as 64 hexadecimal digits. */
  def hex(bytes: Array[Byte]): String =
    HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes))
}
