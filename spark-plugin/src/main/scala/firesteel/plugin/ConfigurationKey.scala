package firesteel.plugin

import scala.util.control.NonFatal

import org.apache.spark.SparkConf
import org.apache.spark.network.util.JavaUtils

/** One configuration key.
  *
  * @param name
  *   the full name, from `spark.firesteel.` on
  * @param kind
  *   what its value is, for people
  * @param default
  *   the value of an absent key, for people
  * @param doc
  *   what it does, in Markdown
  * @param since
  *   the version that brought it
  * @param ofText
  *   reads the text that a user gave; fails if it is not of that kind
  * @param ofAbsence
  *   the value of an absent key
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

  /** The value of this key.
    *
    * @throws IllegalArgumentException
    *   naming the key, its text and what is accepted
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

  /** A text that may be absent. */
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

  /** A whole number of a range. */
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

  /** A duration, in milliseconds. */
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

  /** An amount of memory, in bytes. */
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

  /** Yes or no. */
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
