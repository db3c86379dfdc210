package firesteel.checkpoint

import java.nio.charset.StandardCharsets.UTF_8

import firesteel.util.{Json, Sha256}
import org.json4s.JsonAST.{JArray, JObject, JValue}

/** The identity of a fit. Two fits with the same fingerprint have the same result.
  *
  * @param settings
  *   everything that decides the result: the documents of server and workers without the settings of one run, the hash of
  *   the initial weights, and the number and hash of the rows
  */
private[firesteel] final case class Fingerprint(settings: JObject) {

  /** 32 hexadecimal digits. */
  val text: String =
    Sha256.hex(Json.text(Fingerprint.sorted(settings)).getBytes(UTF_8)).take(Fingerprint.Digits)
}

private[firesteel] object Fingerprint {
  private val Digits = 32

  private def sorted(json: JValue): JValue = json match {
    case JObject(fields) => JObject(fields.map { case (n, v) => n -> sorted(v) }.sortBy(_._1))
    case JArray(values) => JArray(values.map(sorted))
    case other => other
  }
}
