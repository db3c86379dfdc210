package firesteel.network

import org.json4s.JsonAST.JValue

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

/** The largest value of each of `outputSize` windows that cover the image: `[c, h, w]` becomes `[c, outputSize]`. */
final case class AdaptiveMaxPool2d(outputSize: Size) extends StandardLayer {
  positive("output_size", outputSize)

  private[network] override def args: List[(String, JValue)] =
    List("output_size" -> outputSize.json)
}

/** The mean of each of `outputSize` windows that cover the image: `[c, h, w]` becomes `[c, outputSize]`. */
final case class AdaptiveAvgPool2d(outputSize: Size) extends StandardLayer {
  positive("output_size", outputSize)

  private[network] override def args: List[(String, JValue)] =
    List("output_size" -> outputSize.json)
}
