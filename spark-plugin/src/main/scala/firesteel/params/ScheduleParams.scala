package firesteel.params

import org.apache.spark.ml.param.{DoubleParam, IntParam, Param, Params}
import org.json4s.JsonAST.{JDouble, JField, JInt, JNull, JObject, JString, JValue}

/** Learning rate schedules, with the formulas of `torch.optim.lr_scheduler`. Schedules step at each worker's epochs,
  * the warm-up at its mini-batches; the warm-up's factor multiplies the rate of the schedule. `fit` rejects an option
  * that the chosen schedule does not have.
  */
private[firesteel] trait ScheduleParams extends Params {

  /** The schedule: `constant`, `step`, `exponential`, `cosine`, or `plateau`, which reduces the rate when the loss
    * stops falling. Default: constant.
    */
  final val schedule: Param[String] = TextParam(
    this,
    "schedule",
    s"learning rate schedule: ${ScheduleParams.names.mkString(", ")}",
    Validators.oneOf("schedule", ScheduleParams.names)
  )

  /** Epochs between two changes of the step schedule. Default: 1. */
  final val scheduleStep: IntParam = new IntParam(
    this,
    "scheduleStep",
    "epochs between two changes of the step schedule (>= 1); unless set, 1",
    Validators.atLeastOne("scheduleStep")
  )

  /** The decay factor of the step and exponential schedules, positive. Default: 0.1 for step, 0.9 for exponential. */
  final val scheduleGamma: DoubleParam = new DoubleParam(
    this,
    "scheduleGamma",
    "decay factor of the step and exponential schedules (> 0); unless set, 0.1 and 0.9",
    Validators.positive("scheduleGamma")
  )

  /** Epochs over which the cosine schedule falls to its minimum. Default: the epochs of the fit. */
  final val scheduleEpochs: IntParam = new IntParam(
    this,
    "scheduleEpochs",
    "epochs over which the cosine schedule falls to its minimum (>= 1); unless set, all",
    Validators.atLeastOne("scheduleEpochs")
  )

  /** The smallest rate of the cosine and plateau schedules, at least 0. Default: 0. */
  final val scheduleMinimum: DoubleParam = new DoubleParam(
    this,
    "scheduleMinimum",
    "the smallest rate of the cosine and plateau schedules (>= 0); unless set, 0",
    Validators.notNegative("scheduleMinimum")
  )

  /** The interval at which the cosine schedule changes the rate: each `epoch`, as PyTorch's schedulers are stepped, or
    * each `step`, a mini-batch of a worker. Default: epoch.
    */
  final val scheduleInterval: Param[String] = TextParam(
    this,
    "scheduleInterval",
    "interval at which the cosine schedule changes the rate: epoch or step; unless set, epoch",
    Validators.oneOf("scheduleInterval", ScheduleParams.intervals)
  )

  /** The decay factor of the plateau schedule, between 0 and 1. Default: 0.1. */
  final val plateauFactor: DoubleParam = new DoubleParam(
    this,
    "plateauFactor",
    "decay factor of the plateau schedule, between 0 and 1; unless set, 0.1",
    Validators.number("plateauFactor", "a number between 0 and 1")(value => value > 0 && value < 1)
  )

  /** Epochs without an improvement that the plateau schedule tolerates. Default: 10. */
  final val plateauPatience: IntParam = new IntParam(
    this,
    "plateauPatience",
    "epochs without an improvement that the plateau schedule tolerates (>= 0); unless set, 10",
    Validators.atLeastZero("plateauPatience")
  )

  /** The minimum improvement for the plateau schedule, at least 0. Default: 1e-4. */
  final val plateauThreshold: DoubleParam = new DoubleParam(
    this,
    "plateauThreshold",
    "minimum improvement for the plateau schedule (>= 0); unless set, 1e-4",
    Validators.notNegative("plateauThreshold")
  )

  /** The mode of that threshold: `relative` to the best value or `absolute`. Default: relative. */
  final val plateauThresholdMode: Param[String] = TextParam(
    this,
    "plateauThresholdMode",
    "mode of the plateau schedule's threshold: relative or absolute; unless set, relative",
    Validators.oneOf("plateauThresholdMode", Seq("relative", "absolute"))
  )

  /** The epochs after a reduction before the plateau schedule counts again. Default: 0. */
  final val plateauCooldown: IntParam = new IntParam(
    this,
    "plateauCooldown",
    "epochs after a reduction before the plateau schedule counts again (>= 0); unless set, 0",
    Validators.atLeastZero("plateauCooldown")
  )

  /** The value that the plateau schedule monitors: `loss` of the validation rows, `trainingLoss`, or one of `metrics`,
    * with several outputs `<output>_<metric>` or `<output>_loss`. Default: the loss of the validation rows, or of the
    * training if there are none.
    */
  final val plateauMonitor: Param[String] = TextParam(
    this,
    "plateauMonitor",
    "value that the plateau schedule monitors: loss, trainingLoss or a metric; unless set, the loss"
  )

  /** Mini-batches of each worker over which the learning rate warms up. Default: none. */
  final val warmupSteps: IntParam = new IntParam(
    this,
    "warmupSteps",
    "mini-batches of each worker over which the learning rate warms up (>= 1); unless set, no warm-up",
    Validators.atLeastOne("warmupSteps")
  )

  /** The factor of the learning rate at the start of the warm-up, above 0 and at most 1. Default: 1/3. */
  final val warmupStart: DoubleParam = new DoubleParam(
    this,
    "warmupStart",
    "factor of the learning rate at the start of the warm-up, above 0 and at most 1; unless set, 1/3",
    Validators.number("warmupStart", "a number above 0 and at most 1")(value =>
      value > 0 && value <= 1
    )
  )

  setDefault(schedule -> "constant")

  final def getSchedule: String = $(schedule)

  /** Returns the `ScheduleSpec` of a fit with this many epochs.
    *
    * @throws java.lang.IllegalArgumentException
    *   when an option is set that the schedule does not have
    */
  private[firesteel] final def scheduleSpec(epochs: Int): JObject = {
    def number(param: DoubleParam, default: Double): JValue = JDouble(get(param).getOrElse(default))
    def count(param: IntParam, default: Int): JValue = {
      val value: Int = get(param).getOrElse(default)
      JInt(value)
    }
    val options: Seq[(Param[_], String, JValue)] = $(schedule) match {
      case "step" =>
        Seq(
          (scheduleStep, "stepSize", count(scheduleStep, 1)),
          (scheduleGamma, "gamma", number(scheduleGamma, 0.1))
        )
      case "exponential" => Seq((scheduleGamma, "gamma", number(scheduleGamma, 0.9)))
      case "cosine" =>
        Seq(
          (scheduleEpochs, "epochs", count(scheduleEpochs, epochs)),
          (scheduleMinimum, "minimum", number(scheduleMinimum, 0)),
          (
            scheduleInterval,
            "interval",
            JString(get(scheduleInterval).getOrElse(ScheduleParams.ByEpoch))
          )
        )
      case "plateau" =>
        Seq(
          (plateauFactor, "factor", number(plateauFactor, 0.1)),
          (plateauPatience, "patience", count(plateauPatience, 10)),
          (plateauThreshold, "threshold", number(plateauThreshold, 1e-4)),
          (
            plateauThresholdMode,
            "thresholdMode",
            JString(get(plateauThresholdMode).getOrElse("relative"))
          ),
          (plateauCooldown, "cooldown", count(plateauCooldown, 0)),
          (scheduleMinimum, "minimum", number(scheduleMinimum, 0)),
          (plateauMonitor, "monitor", get(plateauMonitor).fold[JValue](JNull)(JString(_)))
        )
      case _ => Nil
    }
    val has = options.map(_._1.name)
    scheduleOptions.filter(option => isSet(option) && !has.contains(option.name)).foreach {
      option =>
        val list = if (has.isEmpty) "no options" else has.mkString(", ")
        throw new IllegalArgumentException(
          s"the schedule '${$(schedule)}' has no ${option.name}; it has $list"
        )
    }
    val fields = options.map { case (_, key, value) => JField(key, value) }
    JObject(JField("name", JString($(schedule))) :: fields.toList)
  }

  /** Returns the `WarmupSpec`, or null. */
  private[firesteel] final def warmupSpec: JValue = {
    require(
      isSet(warmupSteps) || !isSet(warmupStart),
      "warmupStart is set without warmupSteps; set warmupSteps, or clear warmupStart"
    )
    get(warmupSteps).fold[JValue](JNull) { steps =>
      JObject(
        "steps" -> JInt(steps),
        "startFactor" -> JDouble(get(warmupStart).getOrElse(1.0 / 3))
      )
    }
  }

  private def scheduleOptions: Seq[Param[_]] =
    Seq(scheduleStep, scheduleGamma, scheduleEpochs, scheduleMinimum, scheduleInterval) ++
      Seq(plateauFactor) ++ Seq(
        plateauPatience,
        plateauThreshold,
        plateauThresholdMode,
        plateauCooldown,
        plateauMonitor
      )
}

private[params] object ScheduleParams {
  val names: Seq[String] = Seq("constant", "step", "exponential", "cosine", "plateau")

  val ByEpoch = "epoch"
  val ByStep = "step"
  val intervals: Seq[String] = Seq(ByEpoch, ByStep)
}

/** Setters of [[ScheduleParams]], for estimators. */
private[firesteel] trait ScheduleSetters extends ScheduleParams {
  def setSchedule(value: String): this.type = set(schedule, value)
  def setScheduleStep(value: Int): this.type = set(scheduleStep, value)
  def setScheduleGamma(value: Double): this.type = set(scheduleGamma, value)
  def setScheduleEpochs(value: Int): this.type = set(scheduleEpochs, value)
  def setScheduleMinimum(value: Double): this.type = set(scheduleMinimum, value)
  def setScheduleInterval(value: String): this.type = set(scheduleInterval, value)
  def setPlateauFactor(value: Double): this.type = set(plateauFactor, value)
  def setPlateauPatience(value: Int): this.type = set(plateauPatience, value)
  def setPlateauThreshold(value: Double): this.type = set(plateauThreshold, value)
  def setPlateauThresholdMode(value: String): this.type = set(plateauThresholdMode, value)
  def setPlateauCooldown(value: Int): this.type = set(plateauCooldown, value)
  def setPlateauMonitor(value: String): this.type = set(plateauMonitor, value)
  def setWarmupSteps(value: Int): this.type = set(warmupSteps, value)
  def setWarmupStart(value: Double): this.type = set(warmupStart, value)
}
