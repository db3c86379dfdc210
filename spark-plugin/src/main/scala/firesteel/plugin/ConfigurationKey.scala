package firesteel.plugin

import scala.util.control.NonFatal

import org.apache.spark.SparkConf
import org.apache.spark.network.util.JavaUtils

/** One configuration key.
  *
  * @param name
  *   the full name, including `spark.firesteel.`
  * @param kind
  *   the description of accepted values
  * @param default
  *   the description of the default
  * @param doc
  *   the description of the key, in Markdown
  * @param since
  *   the version that introduced it
  * @param ofText
  *   parses the text that a user set; fails if it is invalid
  * @param ofAbsence
  *   returns the value of an absent key
  * @tparam T
  *   the type of the value
  */
private[firesteel] final class ConfigurationKey[T] private (
    val name: String,
    val kind: String,
    val default: String,
    val doc: String,
    val since: String,
    ofText: String => T,
    ofAbsence: SparkConf => T
) {

  /** Returns the value of this key.
    *
    * @throws IllegalArgumentException
    *   naming the key, its text and the accepted values
    */
  def get(conf: SparkConf): T = conf.getOption(name) match {
    case None => ofAbsence(conf)
    case Some(text) =>
      try ofText(text.trim)
      catch {
        case NonFatal(e) =>
          throw new IllegalArgumentException(s"$name is '$text', but must be $kind", e)
      }
  }
}

private[plugin] object ConfigurationKey {
  private val Since = "0.1.0"

  /** Returns a key of an optional text. */
  def text(name: String, kind: String, default: String, doc: String)(
      check: String => Unit
  ): ConfigurationKey[Option[String]] =
    new ConfigurationKey[Option[String]](
      name,
      kind,
      default,
      doc,
      Since,
      value => { check(value); Some(value) },
      _ => None
    )

  /** Returns a key of an integer in a range. */
  def int(name: String, range: Range, default: Int, doc: String): ConfigurationKey[Int] =
    new ConfigurationKey(
      name,
      if (range.last == Int.MaxValue) s"a whole number from ${range.head}"
      else s"a whole number from ${range.head} to ${range.last}",
      default.toString,
      doc,
      Since,
      value => {
        val number = value.toInt
        require(range.head <= number && number <= range.last)
        number
      },
      _ => default
    )

  /** Returns a key of a duration, in milliseconds. */
  def millis(name: String, default: String, doc: String): ConfigurationKey[Long] =
    new ConfigurationKey(
      name,
      "a positive duration such as `30s` or `5min`",
      s"`$default`",
      doc,
      Since,
      value => {
        val millis = JavaUtils.timeStringAsMs(value)
        require(millis > 0)
        millis
      },
      _ => JavaUtils.timeStringAsMs(default)
    )

  /** Returns a key of an amount of memory, in bytes. */
  def bytes(name: String, default: String, doc: String)(
      ofAbsence: SparkConf => Long
  ): ConfigurationKey[Long] =
    new ConfigurationKey(
      name,
      "a positive amount of memory such as `512m` or `2g`",
      default,
      doc,
      Since,
      value => {
        val bytes = JavaUtils.byteStringAsBytes(value)
        require(bytes > 0)
        bytes
      },
      ofAbsence
    )

  /** Returns a key of a boolean. */
  def boolean(name: String, default: String, doc: String)(
      ofAbsence: SparkConf => Boolean
  ): ConfigurationKey[Boolean] =
    new ConfigurationKey(
      name,
      "`true` or `false`",
      default,
      doc,
      Since,
      value => value.toBoolean,
      ofAbsence
    )
}
