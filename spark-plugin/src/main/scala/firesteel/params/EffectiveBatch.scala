package firesteel.params

import org.json4s.JsonAST.{JDouble, JField, JInt, JObject, JString}

/** The learning rate of a fit whose workers have whole mini-batches each, so that together they take larger and fewer steps.
  *
  * The default rate of the optimizer is multiplied with the root of the workers (Krizhevsky, 2014, One Weird Trick for
  * Parallelizing Convolutional Neural Networks; Malladi et al., 2022, On the SDEs and Scaling Rules for Adaptive Gradient
  * Algorithms), rises over the first steps (Goyal et al., 2017, Accurate, Large Minibatch SGD) and falls along a cosine to 0
  * (Loshchilov and Hutter, 2017, SGDR).
  */
private[params] object EffectiveBatch {

  /** Mini-batches of a worker over which the rate rises. */
  val WarmupSteps = 100

  /** The part of the rate with which it begins. */
  val WarmupStart = 0.1

  def factor(workers: Int): Double = math.sqrt(workers.toDouble)

  /** An optimizer with the larger rate. */
  def scaled(optimizer: JObject, workers: Int): JObject = JObject(optimizer.obj.map {
    case JField("learningRate", JDouble(rate)) =>
      JField("learningRate", JDouble(rate * factor(workers)))
    case other => other
  })

  /** The schedule and the warm-up of a `ControlSpec`. */
  def controls(epochs: Int): JObject = JObject(
    "schedule" -> JObject(
      "name" -> JString("cosine"),
      "epochs" -> JInt(epochs),
      "minimum" -> JDouble(0),
      "interval" -> JString(ScheduleParams.ByStep)
    ),
    "warmup" -> JObject("steps" -> JInt(WarmupSteps), "startFactor" -> JDouble(WarmupStart))
  )
}
