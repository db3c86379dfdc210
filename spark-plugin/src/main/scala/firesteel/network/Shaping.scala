package firesteel.network

import org.json4s.JsonAST.{JInt, JValue}

/** Joins the dimensions from `startDim` to `endDim`; dimension 0 is the rows, so that by default each row
  * becomes one list.
  */
sealed case class Flatten(startDim: Int = 1, endDim: Int = -1) extends StandardLayer {
  require(startDim != 0, "Flatten: start_dim 0 would join the rows of a mini-batch")

  private[network] override def args: List[(String, JValue)] =
    Args.unless("start_dim", startDim, 1) ++ Args.unless("end_dim", endDim, -1)
}

/** The layer with the default dimensions. */
object Flatten extends Flatten(1, -1)

/** Reshapes each row; one size may be -1 and is inferred. */
final case class Reshape(shape: Int*) extends StandardLayer {
  require(shape.nonEmpty, "Reshape: shape must not be empty")
  require(
    shape.count(_ == -1) <= 1 && shape.forall(size => size == -1 || size > 0),
    s"Reshape: shape ${shape.mkString("[", ", ", "]")} must have sizes of at least 1, of which one may be -1"
  )

  private[network] override def args: List[(String, JValue)] = List("shape" -> Args.ints(shape))
}

/** Permutes the dimensions of each row: `dims` lists them, counted from 1 since 0 is the rows, such as
  * `Permute(3, 1, 2)` for an image whose channels come last.
  */
final case class Permute(dims: Int*) extends StandardLayer {
  require(
    dims.nonEmpty && dims.sorted == (1 to dims.size),
    s"Permute: dims ${dims.mkString("[", ", ", "]")} must hold each of 1 to ${dims.size} once"
  )

  private[network] override def args: List[(String, JValue)] = List("dims" -> Args.ints(dims))
}

/** Pads an image with zeros: `[c, h, w]` becomes `[c, h + top + bottom, w + left + right]`. A negative number crops. */
final case class ZeroPad2d(left: Int, right: Int, top: Int, bottom: Int) extends StandardLayer {

  private[network] override def args: List[(String, JValue)] = {
    val sides = Seq(left, right, top, bottom)
    List("padding" -> (if (sides.distinct.size == 1) JInt(left) else Args.ints(sides)))
  }
}

object ZeroPad2d {

  /** Returns a padding with the same number of zeros at each side. */
  def apply(padding: Int): ZeroPad2d = ZeroPad2d(padding, padding, padding, padding)
}
