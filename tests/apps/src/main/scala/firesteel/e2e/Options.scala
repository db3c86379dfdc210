package firesteel.e2e

import firesteel.network._

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

  /** A perceptron of ten classes. The argument `hidden` has the sizes of its hidden layers, such as `500,300`. */
  def perceptron(default: String): Network = {
    val hidden = text("hidden", default).split(',').toSeq
    val layers = hidden.flatMap(size => Seq(Linear(size.toInt), ReLU))
    Network.sequential(layers ++ Seq(Linear(10), Softmax): _*)
  }
}
