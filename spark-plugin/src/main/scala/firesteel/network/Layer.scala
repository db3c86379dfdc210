package firesteel.network

import org.json4s.JsonAST.{JInt, JValue}

/** A layer, or a container of layers, of a [[Network]].
  *
  * Names, argument names (in Scala's case), defaults and initialisation are those of `torch.nn`. The
  * shapes below leave out the first dimension, the rows of a mini-batch. The size of a layer's
  * input (`in_features` and the like) is inferred on the driver, from the layer before it.
  */
sealed trait Layer extends Product with Serializable

/** A layer of `torch.nn`: one node of the network's graph. */
abstract class StandardLayer private[network] () extends Layer {

  /** The layer's name in `torch.nn`. */
  def op: String = productPrefix

  /** The arguments by their names in `torch.nn`; those with their default are left out. */
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

  protected final def finite(name: String, value: Double): Unit =
    require(!value.isNaN && !value.isInfinite, s"$op: $name must be finite, not $value")
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

  /** Returns a layer with an explicit number of inputs, in PyTorch's order; it is checked on the driver. */
  def apply(inFeatures: Int, outFeatures: Int): Linear = Linear(outFeatures, Some(inFeatures))
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

/** Sets each value to 0 with probability `p` while training and scales the others by `1/(1-p)`. */
final case class Dropout(p: Double = 0.5) extends StandardLayer {
  probability("p", p)

  private[network] override def args: List[(String, JValue)] = Args.unless("p", p, 0.5)
}

/** Returns its input. */
case object Identity extends StandardLayer {

  /** The layer, in PyTorch's notation. */
  def apply(): Identity.type = this
}

/** Layers one after the other. */
final case class Sequential(layers: Layer*) extends Layer

/** `x + f(x)`, where `f` are these layers; `shortcut` replaces the first `x` where its shape must change. */
final case class Residual(layers: Seq[Layer], shortcut: Seq[Layer]) extends Layer {
  require(layers.nonEmpty, "Residual: needs at least one layer")

  /** The sum of `layers` and these layers. */
  def withShortcut(shortcut: Layer*): Residual = copy(shortcut = shortcut)
}

object Residual {

  /** `x + f(x)`, where `f` are these layers. */
  def apply(layers: Layer*): Residual = Residual(layers, Nil)
}
