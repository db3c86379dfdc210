package firesteel.network

import org.json4s.JsonAST.JValue

/** The sum of all that it reads, which has one shape. For graphs; in a sequence use [[Residual]]. */
case object Add extends StandardLayer

/** The first of two that it reads, of one shape, less the second. For graphs. */
case object Subtract extends StandardLayer

/** The product, value by value, of all that it reads, which has one shape. For graphs. */
case object Multiply extends StandardLayer

/** The mean, value by value, of all that it reads, which has one shape. For graphs. */
case object Average extends StandardLayer

/** The largest of the values at each place of all that it reads, which has one shape. For graphs. */
case object Maximum extends StandardLayer

/** The smallest of the values at each place of all that it reads, which has one shape. For graphs. */
case object Minimum extends StandardLayer

/** Joins all that it reads along the dimension `dim`, of which 0 is the rows. For graphs. */
final case class Concatenate(dim: Int = 1) extends StandardLayer {
  require(dim != 0, "Concatenate: dim 0 would mix the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] = Args.unless("dim", dim, 1)
}
