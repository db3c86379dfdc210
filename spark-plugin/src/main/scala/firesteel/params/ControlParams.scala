package firesteel.params

import org.apache.spark.ml.param.{DoubleArrayParam, DoubleParam}
import org.json4s.JsonAST.{JArray, JDouble, JNull, JObject, JString, JValue}

/** The controls of a training other than the optimizer and the strategy. */
private[firesteel] trait ControlParams
    extends ScheduleParams
    with ValidationParams
    with StoppingParams {

  /** The maximum absolute value of the elements of a mini-batch's gradient, positive; larger ones are clipped. Applied
    * before `clipNorm`. Default: none.
    */
  final val clipValue: DoubleParam = new DoubleParam(
    this,
    "clipValue",
    "maximum absolute value of a gradient's elements (> 0)",
    Validators.positive("clipValue")
  )

  /** The maximum Euclidean norm of a mini-batch's gradient, positive; a longer gradient is scaled down. Default: none. */
  final val clipNorm: DoubleParam = new DoubleParam(
    this,
    "clipNorm",
    "maximum Euclidean norm of a gradient (> 0)",
    Validators.positive("clipNorm")
  )

  /** The weight of each class. A mini-batch's loss is the mean by these weights and by `weightCol`, as with PyTorch's
    * `weight`. Default: 1 for each.
    */
  final val classWeights: DoubleArrayParam = new DoubleArrayParam(
    this,
    "classWeights",
    "weight of each class in the loss (>= 0)",
    (weights: Array[Double]) => weights.forall(Validators.notNegative("classWeights"))
  )

  /** The share of a class label that is distributed over all classes, from 0 to below 1. Default: 0. */
  final val labelSmoothing: DoubleParam = new DoubleParam(
    this,
    "labelSmoothing",
    "share of a class label that is distributed over all classes, from 0 to below 1",
    Validators.fraction("labelSmoothing")
  )

  setDefault(labelSmoothing -> 0.0)

  final def getClassWeights: Array[Double] = $(classWeights)
  final def getLabelSmoothing: Double = $(labelSmoothing)

  /** Returns the `ControlSpec` of a fit.
    *
    * @param epochs
    *   the epochs of the fit
    * @param defaults
    *   the metrics of validation rows if none are set
    * @throws java.lang.IllegalArgumentException
    *   when options contradict each other
    */
  private[firesteel] final def controlSpec(epochs: Int, defaults: Seq[String]): JObject = {
    def number(param: DoubleParam): JValue = get(param).fold[JValue](JNull)(JDouble(_))
    val ifAny = if (validationRows.isEmpty) Nil else defaults
    JObject(
      "schedule" -> scheduleSpec(epochs),
      "warmup" -> warmupSpec,
      "clipping" -> JObject("value" -> number(clipValue), "norm" -> number(clipNorm)),
      "classWeights" -> JArray(get(classWeights).toList.flatten.map(JDouble(_))),
      "labelSmoothing" -> JDouble($(labelSmoothing)),
      "metrics" -> JArray(get(metrics).fold(ifAny)(_.toSeq).map(JString(_)).toList),
      "stopping" -> stoppingSpec
    )
  }
}

/** Setters of [[ControlParams]], for estimators. */
private[firesteel] trait ControlSetters
    extends ControlParams
    with ScheduleSetters
    with ValidationSetters
    with StoppingSetters {
  def setClipValue(value: Double): this.type = set(clipValue, value)
  def setClipNorm(value: Double): this.type = set(clipNorm, value)
  def setClassWeights(value: Array[Double]): this.type = set(classWeights, value)
  def setLabelSmoothing(value: Double): this.type = set(labelSmoothing, value)
}
