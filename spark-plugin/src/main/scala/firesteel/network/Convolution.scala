package firesteel.network

import scala.language.implicitConversions

import org.json4s.JsonAST.{JArray, JInt, JString, JValue}

/** A height and a width. An `Int` stands for a square, a pair for a rectangle. */
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

  /** The padding that keeps height and width, for a stride of 1. */
  case object Same extends Padding

  /** `size` zeros at each side. */
  final case class Zeros(size: Size) extends Padding

  implicit def square(side: Int): Padding = Zeros(side)
  implicit def rectangle(sides: (Int, Int)): Padding = Zeros(sides)
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
