package firesteel.network

import scala.language.implicitConversions

import org.json4s.JsonAST.{JArray, JInt, JString, JValue}

/** A layer, or a container of layers, of a [[Network]].
  *
  * Names, argument names (in Scala's case), defaults and initialisation are those of `torch.nn`. The
  * shapes below leave out the first dimension, the rows of a mini-batch. What a layer takes in
  * (`in_features` and its like) is inferred from what comes before it, on the driver.
  */
sealed trait Layer extends Product with Serializable

/** A layer of `torch.nn`: one node of the network's graph. */
sealed trait StandardLayer extends Layer {

  /** The layer's name in `torch.nn`. */
  def op: String = productPrefix

  /** Its arguments as `torch.nn` names them; one that has its default is left out. */
  private[network] def args: List[(String, JValue)] = Nil

  protected final def positive(name: String, value: Int): Unit =
    require(value > 0, s"$op: $name must be at least 1, not $value")

  protected final def notNegative(name: String, size: Size): Unit = require(
    size.height >= 0 && size.width >= 0,
    s"$op: $name must not be negative, not $size"
  )

  protected final def positive(name: String, size: Size): Unit =
    require(size.height > 0 && size.width > 0, s"$op: $name must be at least 1, not $size")

  protected final def probability(name: String, value: Double): Unit =
    require(value >= 0 && value <= 1, s"$op: $name must be between 0 and 1, not $value")

  protected final def positive(name: String, value: Double): Unit =
    require(value > 0 && !value.isInfinite, s"$op: $name must be positive, not $value")
}

/** A height and a width. An `Int` stands for both, a pair for one each. */
final case class Size(height: Int, width: Int) {
  private[network] def json: JValue =
    if (height == width) JInt(height) else JArray(List(JInt(height), JInt(width)))
  override def toString: String = if (height == width) height.toString else s"($height, $width)"
}

object Size {
  implicit def square(side: Int): Size = Size(side, side)
  implicit def rectangle(sides: (Int, Int)): Size = Size(sides._1, sides._2)
}

/** The padding of a [[Conv2d]]: a number of zeros at each side, or `Padding.Same`. */
sealed trait Padding

object Padding {

  /** As many zeros as keep height and width, for a stride of 1. */
  case object Same extends Padding

  /** `size` zeros at each side. */
  final case class Zeros(size: Size) extends Padding

  implicit def square(side: Int): Padding = Zeros(side)
  implicit def rectangle(sides: (Int, Int)): Padding = Zeros(sides)
}

/** `y = x W' + b` over the last dimension: `[*, in]` becomes `[*, outFeatures]`. */
final case class Linear(outFeatures: Int, inFeatures: Option[Int] = None, bias: Boolean = true)
    extends StandardLayer {
  positive("out_features", outFeatures)
  inFeatures.foreach(positive("in_features", _))

  private[network] override def args: List[(String, JValue)] =
    inFeatures.map("in_features" -> JInt(_)).toList ++
      List("out_features" -> JInt(outFeatures)) ++ Args.unless("bias", bias, true)
}

object Linear {

  /** With the number of inputs written down, in PyTorch's order; it is checked on the driver. */
  def apply(inFeatures: Int, outFeatures: Int): Linear = Linear(outFeatures, Some(inFeatures))
}

/** Two-dimensional convolution: `[in, h, w]` becomes `[outChannels, h', w']`. */
final case class Conv2d(
    outChannels: Int,
    kernelSize: Size,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: Int = 1,
    bias: Boolean = true,
    inChannels: Option[Int] = None
) extends StandardLayer {
  positive("out_channels", outChannels)
  inChannels.foreach(positive("in_channels", _))
  positive("kernel_size", kernelSize)
  positive("stride", stride)
  positive("dilation", dilation)
  positive("groups", groups)
  require(
    outChannels % groups == 0,
    s"Conv2d: out_channels, $outChannels, must be a multiple of groups, $groups"
  )
  padding match {
    case Padding.Zeros(size) => notNegative("padding", size)
    case Padding.Same => require(stride == Size(1, 1), "Conv2d: padding 'same' needs a stride of 1")
  }

  private[network] override def args: List[(String, JValue)] =
    inChannels.map("in_channels" -> JInt(_)).toList ++
      List("out_channels" -> JInt(outChannels), "kernel_size" -> kernelSize.json) ++
      Args.unless("stride", stride, Size(1, 1)) ++
      (padding match {
        case Padding.Zeros(size) => Args.unless("padding", size, Size(0, 0))
        case Padding.Same => List("padding" -> JString("same"))
      }) ++
      Args.unless("dilation", dilation, Size(1, 1)) ++
      Args.unless("groups", groups, 1) ++
      Args.unless("bias", bias, true)
}

/** The largest value of each window: `[c, h, w]` becomes `[c, h', w']`. A window moves by its own size unless
  * `stride` is given.
  */
final case class MaxPool2d(
    kernelSize: Size,
    stride: Option[Size] = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceilMode: Boolean = false
) extends StandardLayer {
  positive("kernel_size", kernelSize)
  stride.foreach(positive("stride", _))
  notNegative("padding", padding)
  positive("dilation", dilation)

  private[network] override def args: List[(String, JValue)] =
    List("kernel_size" -> kernelSize.json) ++ stride.map("stride" -> _.json) ++
      Args.unless("padding", padding, Size(0, 0)) ++
      Args.unless("dilation", dilation, Size(1, 1)) ++
      Args.unless("ceil_mode", ceilMode, false)
}

/** The mean of each window: `[c, h, w]` becomes `[c, h', w']`. A window moves by its own size unless `stride` is
  * given.
  */
final case class AvgPool2d(
    kernelSize: Size,
    stride: Option[Size] = None,
    padding: Size = 0,
    ceilMode: Boolean = false,
    countIncludePad: Boolean = true
) extends StandardLayer {
  positive("kernel_size", kernelSize)
  stride.foreach(positive("stride", _))
  notNegative("padding", padding)

  private[network] override def args: List[(String, JValue)] =
    List("kernel_size" -> kernelSize.json) ++ stride.map("stride" -> _.json) ++
      Args.unless("padding", padding, Size(0, 0)) ++
      Args.unless("ceil_mode", ceilMode, false) ++
      Args.unless("count_include_pad", countIncludePad, true)
}

/** Batch normalisation of `[c]` or `[c, l]` over rows and length. */
final case class BatchNorm1d(
    eps: Double = 1e-5,
    momentum: Double = 0.1,
    affine: Boolean = true,
    numFeatures: Option[Int] = None
) extends StandardLayer {
  positive("eps", eps)
  probability("momentum", momentum)
  numFeatures.foreach(positive("num_features", _))

  private[network] override def args: List[(String, JValue)] =
    Args.batchNorm(eps, momentum, affine, numFeatures)
}

/** Batch normalisation of `[c, h, w]` over rows, height and width. */
final case class BatchNorm2d(
    eps: Double = 1e-5,
    momentum: Double = 0.1,
    affine: Boolean = true,
    numFeatures: Option[Int] = None
) extends StandardLayer {
  positive("eps", eps)
  probability("momentum", momentum)
  numFeatures.foreach(positive("num_features", _))

  private[network] override def args: List[(String, JValue)] =
    Args.batchNorm(eps, momentum, affine, numFeatures)
}

/** Normalisation over the last dimensions, those of `normalizedShape`. */
final case class LayerNorm(
    normalizedShape: Seq[Int],
    eps: Double = 1e-5,
    elementwiseAffine: Boolean = true,
    bias: Boolean = true
) extends StandardLayer {
  require(normalizedShape.nonEmpty, "LayerNorm: normalized_shape must not be empty")
  normalizedShape.foreach(positive("normalized_shape", _))
  positive("eps", eps)

  private[network] override def args: List[(String, JValue)] =
    List("normalized_shape" -> Args.ints(normalizedShape)) ++
      Args.unless("eps", eps, 1e-5) ++
      Args.unless("elementwise_affine", elementwiseAffine, true) ++
      Args.unless("bias", bias, true)
}

object LayerNorm {

  /** Over the last dimension alone. */
  def apply(normalizedShape: Int): LayerNorm = LayerNorm(Seq(normalizedShape))
}

/** Sets each value to 0 with probability `p` while training and scales the others by `1/(1-p)`. */
final case class Dropout(p: Double = 0.5) extends StandardLayer {
  probability("p", p)

  private[network] override def args: List[(String, JValue)] = Args.unless("p", p, 0.5)
}

/** Joins the dimensions from `startDim` to `endDim`; dimension 0 is the rows, so that by default each row
  * becomes one list.
  */
sealed case class Flatten(startDim: Int = 1, endDim: Int = -1) extends StandardLayer {
  require(startDim != 0, "Flatten: start_dim 0 would join the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] =
    Args.unless("start_dim", startDim, 1) ++ Args.unless("end_dim", endDim, -1)
}

/** Written alone: with the default dimensions. */
object Flatten extends Flatten(1, -1)

/** Gives each row this shape; one size may be -1 and is inferred. */
final case class Reshape(shape: Int*) extends StandardLayer {
  require(shape.nonEmpty, "Reshape: shape must not be empty")
  require(
    shape.count(_ == -1) <= 1 && shape.forall(size => size == -1 || size > 0),
    s"Reshape: shape ${shape.mkString("[", ", ", "]")} must be of sizes of at least 1, of which one may be -1"
  )

  private[network] override def args: List[(String, JValue)] = List("shape" -> Args.ints(shape))
}

/** `max(0, x)`. */
case object ReLU extends StandardLayer {

  /** As PyTorch writes it. */
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

/** Written alone: without approximation. */
object GELU extends GELU("none")

/** The hyperbolic tangent. */
case object Tanh extends StandardLayer {

  /** As PyTorch writes it. */
  def apply(): Tanh.type = this
}

/** `1 / (1 + exp(-x))`. As the last layer of a classifier it becomes a part of the loss. */
case object Sigmoid extends StandardLayer {

  /** As PyTorch writes it. */
  def apply(): Sigmoid.type = this
}

/** `exp(x) / sum(exp(x))` over the dimension `dim`. As the last layer of a classifier it becomes a part of the
  * loss.
  */
sealed case class Softmax(dim: Int = -1) extends StandardLayer {
  require(dim != 0, "Softmax: dim 0 would mix the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] = Args.unless("dim", dim, -1)
}

/** Written alone: over the last dimension. */
object Softmax extends Softmax(-1)

/** The logarithm of [[Softmax]], for the loss `nll_loss`. */
sealed case class LogSoftmax(dim: Int = -1) extends StandardLayer {
  require(dim != 0, "LogSoftmax: dim 0 would mix the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] = Args.unless("dim", dim, -1)
}

/** Written alone: over the last dimension. */
object LogSoftmax extends LogSoftmax(-1)

/** Gives what it gets. */
case object Identity extends StandardLayer {

  /** As PyTorch writes it. */
  def apply(): Identity.type = this
}

/** The sum of all that it reads, which has one shape. For graphs; in a sequence use [[Residual]]. */
case object Add extends StandardLayer

/** Joins all that it reads along the dimension `dim`, of which 0 is the rows. For graphs. */
final case class Concatenate(dim: Int = 1) extends StandardLayer {
  require(dim != 0, "Concatenate: dim 0 would mix the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] = Args.unless("dim", dim, 1)
}

/** A table of vectors: token ids `[*]` in `0 until numEmbeddings` become `[*, embeddingDim]`. */
final case class Embedding(numEmbeddings: Int, embeddingDim: Int, paddingIdx: Option[Int] = None)
    extends StandardLayer {
  positive("num_embeddings", numEmbeddings)
  positive("embedding_dim", embeddingDim)
  paddingIdx.foreach { index =>
    require(
      index >= -numEmbeddings && index < numEmbeddings,
      s"Embedding: padding_idx $index must be within num_embeddings, $numEmbeddings"
    )
  }

  private[network] override def args: List[(String, JValue)] =
    List("num_embeddings" -> JInt(numEmbeddings), "embedding_dim" -> JInt(embeddingDim)) ++
      paddingIdx.map("padding_idx" -> JInt(_))
}

/** Long short-term memory over a sequence: `[length, in]` becomes `[length, hiddenSize]`, twice as wide if
  * bidirectional; with the output `"last"` only the last hidden state, `[hiddenSize]`. Rows come one after the other
  * (PyTorch's `batch_first`).
  */
final case class LSTM(
    hiddenSize: Int,
    numLayers: Int = 1,
    bias: Boolean = true,
    dropout: Double = 0.0,
    bidirectional: Boolean = false,
    output: String = "sequence",
    inputSize: Option[Int] = None
) extends StandardLayer {
  positive("hidden_size", hiddenSize)
  positive("num_layers", numLayers)
  probability("dropout", dropout)
  require(
    Set("sequence", "last")(output),
    s"LSTM: output must be 'sequence' or 'last', not '$output'"
  )
  inputSize.foreach(positive("input_size", _))

  private[network] override def args: List[(String, JValue)] =
    inputSize.map("input_size" -> JInt(_)).toList ++
      List("hidden_size" -> JInt(hiddenSize)) ++
      Args.unless("num_layers", numLayers, 1) ++
      Args.unless("bias", bias, true) ++
      Args.unless("dropout", dropout, 0.0) ++
      Args.unless("bidirectional", bidirectional, false) ++
      Args.unless("output", output, "sequence")
}

/** Layers one after the other. */
final case class Sequential(layers: Layer*) extends Layer

/** `x + f(x)`, where `f` are these layers; `shortcut` stands for the first `x` where its shape must change. */
final case class Residual(layers: Seq[Layer], shortcut: Seq[Layer]) extends Layer {
  require(layers.nonEmpty, "Residual: needs at least one layer")

  /** The sum of `layers` and these layers. */
  def withShortcut(shortcut: Layer*): Residual = copy(shortcut = shortcut)
}

object Residual {

  /** `x + f(x)`, where `f` are these layers. */
  def apply(layers: Layer*): Residual = Residual(layers, Nil)
}
