package firesteel.params

import org.apache.spark.ml.param.{BooleanParam, DoubleParam, IntParam, Param, Params}
import org.json4s.JsonAST.{JBool, JDouble, JInt, JNull, JObject, JString, JValue}

/** When a training ends before its last epoch, and which model it leaves. */
private[firesteel] trait StoppingParams extends Params {

  /** What patience, the best weights and the target metric watch: `loss` of the validation rows, `trainingLoss`, or one
    * of `metrics`; with several outputs the last as `<output>_<metric>`, and `<output>_loss`. Default: the loss of the
    * validation rows, or of the training where there are none.
    */
  final val monitor: Param[String] = new Param[String](
    this,
    "monitor",
    "what early stopping watches: loss, trainingLoss, one of the metrics or, of several outputs, <output>_loss; " +
      "unless set, the loss"
  )

  /** Whether smaller (`min`) or larger (`max`) values are better. Default: what the monitor means. */
  final val monitorMode: Param[String] = new Param[String](
    this,
    "monitorMode",
    "whether min or max is better; unless set, what the monitor means",
    Validators.oneOf("monitorMode", Seq("min", "max"))
  )

  /** Epochs in a row without an improvement after which the training ends. Default: never. */
  final val patience: IntParam = new IntParam(
    this,
    "patience",
    "epochs in a row without an improvement after which the training ends (>= 1); unless set, never",
    Validators.atLeastOne("patience")
  )

  /** How much better than the best counts as an improvement, at least 0. Default: 0. */
  final val minDelta: DoubleParam = new DoubleParam(
    this,
    "minDelta",
    "how much better than the best counts as an improvement (>= 0)",
    Validators.notNegative("minDelta")
  )

  /** Whether the model is that of the best epoch rather than of the last one. Default: false. */
  final val restoreBest: BooleanParam = new BooleanParam(
    this,
    "restoreBest",
    "whether the model is that of the best epoch rather than of the last one"
  )

  /** The training ends once the loss is at most this. Default: none. */
  final val targetLoss: DoubleParam = new DoubleParam(
    this,
    "targetLoss",
    "the training ends once the loss of the validation rows, or of the training without them, is at most this",
    Validators.finite("targetLoss")
  )

  /** The training ends once the monitor is at least this good. Default: none. */
  final val targetMetric: DoubleParam = new DoubleParam(
    this,
    "targetMetric",
    "the training ends once the monitor is at least this good",
    Validators.finite("targetMetric")
  )

  /** The training ends this many seconds after the first worker began, positive; the model trained so far is kept.
    * Default: none.
    */
  final val maxSeconds: DoubleParam = new DoubleParam(
    this,
    "maxSeconds",
    "the training ends this many seconds after the first worker began (> 0), with the model trained so far",
    Validators.positive("maxSeconds")
  )

  setDefault(minDelta -> 0.0, restoreBest -> false)

  final def getRestoreBest: Boolean = $(restoreBest)
  final def getPatience: Int = $(patience)

  /** The `StoppingSpec`. */
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
