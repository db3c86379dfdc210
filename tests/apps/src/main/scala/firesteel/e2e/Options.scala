package firesteel.e2e

/** Arguments of the form `name=value`. */
final class Options(args: Array[String]) {
  private val values = args.map { arg =>
    arg.split("=", 2) match {
      case Array(name, value) => name -> value
      case _ => throw new IllegalArgumentException(s"expected name=value, got '$arg'")
    }
  }.toMap

  def text(name: String): String =
    values.getOrElse(name, throw new IllegalArgumentException(s"missing argument $name"))

  def int(name: String, default: Int): Int = values.get(name).fold(default)(_.toInt)

  def text(name: String, default: String): String = values.getOrElse(name, default)
}
