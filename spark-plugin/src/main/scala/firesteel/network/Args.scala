package firesteel.network

import org.json4s.JsonAST.{JArray, JBool, JDouble, JInt, JString, JValue}

/** Arguments of layers as JSON. */
private[network] object Args {

  def ints(values: Seq[Int]): JValue = JArray(values.map(JInt(_)).toList)

  def unless(name: String, value: Boolean, default: Boolean): List[(String, JValue)] =
    unlessDefault(name, value, default)(JBool(_))

  def unless(name: String, value: Int, default: Int): List[(String, JValue)] =
    unlessDefault(name, value, default)(JInt(_))

  def unless(name: String, value: Double, default: Double): List[(String, JValue)] =
    unlessDefault(name, value, default)(JDouble(_))

  def unless(name: String, value: String, default: String): List[(String, JValue)] =
    unlessDefault(name, value, default)(JString(_))

  def unless(name: String, value: Size, default: Size): List[(String, JValue)] =
    unlessDefault(name, value, default)(_.json)

  def batchNorm(
      eps: Double,
      momentum: Double,
      affine: Boolean,
      numFeatures: Option[Int]
  ): List[(String, JValue)] =
    numFeatures.map("num_features" -> JInt(_)).toList ++ unless("eps", eps, 1e-5) ++
      unless("momentum", momentum, 0.1) ++ unless("affine", affine, true)

  private def unlessDefault[T](name: String, value: T, default: T)(
      json: T => JValue
  ): List[(String, JValue)] =
    if (value == default) Nil else List(name -> json(value))
}
