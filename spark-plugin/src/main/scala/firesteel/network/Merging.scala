package firesteel.network

import org.json4s.JsonAST.JValue

/** The sum of all inputs, which have one shape. For graphs; in a sequence use [[Residual]]. */
case object Add extends StandardLayer

/** The first input minus the second, both of one shape. For graphs. */
case object Subtract extends StandardLayer

/** The elementwise product of all inputs, which have one shape. For graphs. */
case object Multiply extends StandardLayer

/** The elementwise mean of all inputs, which have one shape. For graphs. */
case object Average extends StandardLayer

/** The elementwise maximum of all inputs, which have one shape. For graphs. */
case object Maximum extends StandardLayer

/** The elementwise minimum of all inputs, which have one shape. For graphs. */
case object Minimum extends StandardLayer

/** The concatenation of all inputs along the dimension `dim`; dimension 0 is the rows. For graphs. */
final case class Concatenate(dim: Int = 1) extends StandardLayer {
  require(dim != 0, "Concatenate: dim 0 would mix the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] = Args.unless("dim", dim, 1)
}
