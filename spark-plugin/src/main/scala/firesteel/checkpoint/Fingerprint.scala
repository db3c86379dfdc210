package firesteel.checkpoint

import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest

import firesteel.util.Json
import org.json4s.JsonAST.{JArray, JObject, JValue}

/** The identity of a fit. Two fits with the same fingerprint have the same result.
  *
  * @param settings
  *   everything that decides the result: the documents of server and workers without the settings of one run, the hash of
  *   the initial weights, and the number and hash of the rows
  */
private[firesteel] final case class Fingerprint(settings: JObject) {

  /** 32 hexadecimal digits. */
  val text: String = {
    val canonical = Json.text(Fingerprint.sorted(settings)).getBytes(UTF_8)
    val hash = MessageDigest.getInstance("SHA-256").digest(canonical)
    hash.take(Fingerprint.Bytes).map(byte => f"$byte%02x").mkString
  }
}

private[firesteel] object Fingerprint {
  private val Bytes = 16

  private def sorted(json: JValue): JValue = json match {
    case JObject(fields) => JObject(fields.map { case (n, v) => n -> sorted(v) }.sortBy(_._1))
    case JArray(values) => JArray(values.map(sorted))
    case other => other
  }
}
