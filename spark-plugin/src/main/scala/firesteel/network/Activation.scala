package firesteel.network

import org.json4s.JsonAST.JValue

/** `max(0, x)`. */
case object ReLU extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): ReLU.type = this
}

/** `x Phi(x)` with the distribution function of the normal distribution, or its `"tanh"` approximation. */
sealed case class GELU(approximate: String = "none") extends StandardLayer {
  require(
    Set("none", "tanh")(approximate),
    s"GELU: approximate must be 'none' or 'tanh', not '$approximate'"
  )

  private[network] override def args: List[(String, JValue)] =
    Args.unless("approximate", approximate, "none")
}

/** The layer without approximation. */
object GELU extends GELU("none")

/** The hyperbolic tangent. */
case object Tanh extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Tanh.type = this
}

/** `1 / (1 + exp(-x))`. As the last layer of a classifier it becomes a part of the loss. */
case object Sigmoid extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Sigmoid.type = this
}

/** `min(max(0, x), 6)`. */
case object ReLU6 extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): ReLU6.type = this
}

/** `x` where it is positive, else `negativeSlope * x`. */
sealed case class LeakyReLU(negativeSlope: Double = 0.01) extends StandardLayer {
  finite("negative_slope", negativeSlope)

  private[network] override def args: List[(String, JValue)] =
    Args.unless("negative_slope", negativeSlope, 0.01)
}

/** The layer with a slope of 0.01. */
object LeakyReLU extends LeakyReLU(0.01)

/** `x` where it is positive, else `alpha * (exp(x) - 1)`. */
sealed case class ELU(alpha: Double = 1.0) extends StandardLayer {
  finite("alpha", alpha)

  private[network] override def args: List[(String, JValue)] = Args.unless("alpha", alpha, 1.0)
}

/** The layer with an alpha of 1. */
object ELU extends ELU(1.0)

/** [[ELU]] with an alpha of 1.6733 times 1.0507, which keeps mean 0 and variance 1 (self-normalising networks). */
case object SELU extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): SELU.type = this
}

/** `x * sigmoid(x)`, also known as swish. */
case object SiLU extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): SiLU.type = this
}

/** `x * tanh(softplus(x))`. */
case object Mish extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Mish.type = this
}

/** `min(max(-1, x), 1)`. */
case object Hardtanh extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Hardtanh.type = this
}

/** `log(1 / (1 + exp(-x)))`. */
case object LogSigmoid extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): LogSigmoid.type = this
}

/** `min(max(0, x / 6 + 1 / 2), 1)`. */
case object Hardsigmoid extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Hardsigmoid.type = this
}

/** `x * hardsigmoid(x)`. */
case object Hardswish extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Hardswish.type = this
}

/** `log(1 + exp(x))`. */
case object Softplus extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Softplus.type = this
}

/** `x / (1 + |x|)`. */
case object Softsign extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Softsign.type = this
}

/** `exp(x) / sum(exp(x))` over the dimension `dim`. As the last layer of a classifier it becomes a part of the
  * loss.
  */
sealed case class Softmax(dim: Int = -1) extends StandardLayer {
  require(dim != 0, "Softmax: dim 0 would mix the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] = Args.unless("dim", dim, -1)
}

/** The layer over the last dimension. */
object Softmax extends Softmax(-1)

/** The logarithm of [[Softmax]], for the loss `nll_loss`. */
sealed case class LogSoftmax(dim: Int = -1) extends StandardLayer {
  require(dim != 0, "LogSoftmax: dim 0 would mix the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] = Args.unless("dim", dim, -1)
}

/** The layer over the last dimension. */
object LogSoftmax extends LogSoftmax(-1)
