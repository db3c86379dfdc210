package firesteel.params

import org.apache.spark.ml.param.{BooleanParam, DoubleParam, IntParam, Param, Params}
import org.json4s.JsonAST.{JBool, JDouble, JInt, JNull, JObject, JString, JValue}

/** Early stopping, and the choice of the final model. */
private[firesteel] trait StoppingParams extends Params {

  /** The value that patience, the best weights and the target metric use: `loss` of the validation rows,
    * `trainingLoss`, or one of `metrics`, with several outputs `<output>_<metric>` or `<output>_loss`. Default: the
    * loss of the validation rows, or of the training if there are none.
    */
  final val monitor: Param[String] = TextParam(
    this,
    "monitor",
    "value that early stopping monitors: loss, trainingLoss, one of the metrics or, with several outputs, " +
      "<output>_loss; unless set, the loss"
  )

  /** The direction of improvement: `min` for smaller or `max` for larger values. Default: chosen by the monitor. */
  final val monitorMode: Param[String] = TextParam(
    this,
    "monitorMode",
    "direction of improvement: min or max; unless set, chosen by the monitor",
    Validators.oneOf("monitorMode", Seq("min", "max"))
  )

  /** The number of consecutive epochs without an improvement after which training stops. Default: never. */
  final val patience: IntParam = new IntParam(
    this,
    "patience",
    "consecutive epochs without an improvement after which training stops (>= 1); unless set, never",
    Validators.atLeastOne("patience")
  )

  /** The minimum change that counts as an improvement, at least 0. Default: 0. */
  final val minDelta: DoubleParam = new DoubleParam(
    this,
    "minDelta",
    "minimum change that counts as an improvement (>= 0)",
    Validators.notNegative("minDelta")
  )

  /** True to keep the weights of the best epoch rather than those of the last one. Default: false. */
  final val restoreBest: BooleanParam = new BooleanParam(
    this,
    "restoreBest",
    "true to keep the weights of the best epoch rather than those of the last one"
  )

  /** The loss at which training stops. Default: none. */
  final val targetLoss: DoubleParam = new DoubleParam(
    this,
    "targetLoss",
    "loss of the validation rows, or of the training without them, at which training stops",
    Validators.finite("targetLoss")
  )

  /** The value of the monitor at which training stops. Default: none. */
  final val targetMetric: DoubleParam = new DoubleParam(
    this,
    "targetMetric",
    "value of the monitor at which training stops",
    Validators.finite("targetMetric")
  )

  /** The number of seconds after which training stops, counted from the start of the first worker, positive; the model
    * trained so far is kept. Default: none.
    */
  final val maxSeconds: DoubleParam = new DoubleParam(
    this,
    "maxSeconds",
    "seconds after the start of the first worker at which training stops (> 0); the model trained so far is kept",
    Validators.positive("maxSeconds")
  )

  setDefault(minDelta -> 0.0, restoreBest -> false)

  final def getRestoreBest: Boolean = $(restoreBest)
  final def getPatience: Int = $(patience)

  /** Returns the `StoppingSpec`. */
  private[firesteel] final def stoppingSpec: JObject = {
    def text(param: Param[String]): JValue = get(param).fold[JValue](JNull)(JString(_))
    def number(param: DoubleParam): JValue = get(param).fold[JValue](JNull)(JDouble(_))
    JObject(
      "monitor" -> text(monitor),
      "mode" -> text(monitorMode),
      "patience" -> get(patience).fold[JValue](JNull)(JInt(_)),
      "minDelta" -> JDouble($(minDelta)),
      "restoreBest" -> JBool($(restoreBest)),
      "targetLoss" -> number(targetLoss),
      "targetMetric" -> number(targetMetric),
      "maxSeconds" -> number(maxSeconds)
    )
  }
}

/** Setters of [[StoppingParams]], for estimators. */
private[firesteel] trait StoppingSetters extends StoppingParams {
  def setMonitor(value: String): this.type = set(monitor, value)
  def setMonitorMode(value: String): this.type = set(monitorMode, value)
  def setPatience(value: Int): this.type = set(patience, value)
  def setMinDelta(value: Double): this.type = set(minDelta, value)
  def setRestoreBest(value: Boolean): this.type = set(restoreBest, value)
  def setTargetLoss(value: Double): this.type = set(targetLoss, value)
  def setTargetMetric(value: Double): this.type = set(targetMetric, value)
  def setMaxSeconds(value: Double): this.type = set(maxSeconds, value)
}
