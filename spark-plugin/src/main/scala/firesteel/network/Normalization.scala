package firesteel.network

import org.json4s.JsonAST.JValue

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

  /** Returns a normalisation over the last dimension alone. */
  def apply(normalizedShape: Int): LayerNorm = LayerNorm(Seq(normalizedShape))
}
