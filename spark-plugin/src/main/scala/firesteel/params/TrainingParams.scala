package firesteel.params

import org.apache.spark.ml.param.shared.HasSeed
import org.apache.spark.ml.param.{BooleanParam, IntParam, Param, ParamMap}
import org.json4s.JsonAST.{JDouble, JObject}

/** What every way of training has: how long, in what batches, in what order. */
trait TrainingParams
    extends StrategyParams
    with OptimizerParams
    with ControlParams
    with CheckpointParams
    with SpreadParams
    with HasSeed {

  /** Rows of a mini-batch: with the strategy `auto` of the fit, which its workers share; with any other strategy of each
    * worker. Default: 32.
    */
  final val batchSize: IntParam = new IntParam(
    this,
    "batchSize",
    "rows of a mini-batch (>= 1): with the strategy auto of the fit, which its workers share, else of each worker",
    Validators.atLeastOne("batchSize")
  )

  /** Whether the learning rate of several workers is corrected, `auto`, or left as it is, `none`. With the strategy `auto`,
    * whose workers share mini-batches, `auto` multiplies the rate of an adaptive optimizer (all but sgd) with the root of the
    * workers. With a strategy whose workers have whole mini-batches, `auto` multiplies the optimizer's default rate with the
    * root of the workers, lets it rise over the first 100 mini-batches and fall to 0 along a cosine, unless
    * `learningRate`, `schedule` or `warmupSteps` is set. Default: auto.
    */
  final val learningRateScaling: Param[String] = new Param[String](
    this,
    "learningRateScaling",
    "whether the learning rate is corrected for several workers: auto, none",
    Validators.oneOf("learningRateScaling", Seq(TrainingParams.ScaleByOptimizer, TrainingParams.LeaveRate))
  )

  /** Passes over the data. Default: 10. */
  final val epochs: IntParam =
    new IntParam(this, "epochs", "passes over the data (>= 1)", Validators.atLeastOne("epochs"))

  /** Whether each worker takes its rows in a new order every epoch, which the seed decides; if not, always in the order in
    * which they lie in their partition. Default: true.
    */
  final val shuffle: BooleanParam =
    new BooleanParam(this, "shuffle", "whether each epoch takes the rows in a new order")

  /** Whether `fit` draws a progress line on standard error; if not, it logs each epoch. Default:
    * `spark.firesteel.progress`, which is that of `spark.ui.showConsoleProgress`: true in shells.
    */
  final val showProgress: BooleanParam = new BooleanParam(
    this,
    "showProgress",
    "whether fit draws a progress line; unless set, as spark.firesteel.progress says"
  )

  setDefault(
    batchSize -> 32,
    epochs -> 10,
    shuffle -> true,
    learningRateScaling -> TrainingParams.ScaleByOptimizer
  )

  final def getBatchSize: Int = $(batchSize)
  final def getEpochs: Int = $(epochs)
  final def getShuffle: Boolean = $(shuffle)
  final def getShowProgress: Boolean = $(showProgress)
  final def getLearningRateScaling: String = $(learningRateScaling)

  private def isAuto: Boolean = $(strategy) == Strategy.Auto

  /** The fit's workers on a cluster with this many slots. */
  private[firesteel] final def workersOn(slots: Int): Int =
    if (isAuto) AutoStrategy.workers(get(numWorkers), slots, $(batchSize))
    else {
      val single = $(strategy) == Strategy.Single
      val workers = get(numWorkers).getOrElse(if (single) 1 else slots)
      require(
        !single || workers == 1,
        s"the strategy 'single' trains with one worker, but numWorkers is $workers"
      )
      workers
    }

  /** Rows of a mini-batch of each of so many workers. */
  private[firesteel] final def batchSizeOf(workers: Int): Int =
    if (isAuto) AutoStrategy.batchSize($(batchSize), workers) else $(batchSize)

  private def scales: Boolean = $(learningRateScaling) == TrainingParams.ScaleByOptimizer

  /** Whether so many workers with whole mini-batches get the learning rate of larger ones. */
  private def isLargeBatch(workers: Int): Boolean =
    !isAuto && scales && workers > 1 && Strategy($(strategy)).sharesModel &&
      !isSet(learningRate) && !isSet(schedule) && !isSet(warmupSteps)

  /** The optimizer of a fit with so many workers. */
  private[firesteel] final def optimizerSpecOf(workers: Int): JObject =
    if (isAuto && scales) AutoStrategy.scaled(fitOptimizerSpec, workers)
    else if (isLargeBatch(workers)) EffectiveBatch.scaled(fitOptimizerSpec, workers)
    else fitOptimizerSpec

  /** The `ControlSpec` of a fit with so many workers.
    *
    * @param defaults
    *   the metrics of validation rows unless others are set
    */
  private[firesteel] final def controlSpecOf(workers: Int, defaults: Seq[String]): JObject = {
    val own = controlSpec($(epochs), defaults)
    if (!isLargeBatch(workers)) own
    else {
      val changed = EffectiveBatch.controls($(epochs)).obj.toMap
      JObject(own.obj.map { case (name, value) => name -> changed.getOrElse(name, value) })
    }
  }

  /** What was chosen for a fit with so many workers, a sentence each. */
  private[firesteel] final def strategyDecisions(workers: Int, slots: Int): Seq[String] =
    if (isLargeBatch(workers)) Seq(largeBatchDecision(workers))
    else if (!isAuto) Nil
    else {
      val capped = get(numWorkers).filter(_ > workers).map { requested =>
        s"numWorkers is $requested, but $workers ${if (workers == 1) "worker trains" else "workers train"}: strategy auto has at " +
          s"most one for each of $slots slots and for every ${AutoStrategy.RowsOfWorker} rows of batchSize ${$(batchSize)}"
      }
      Seq(autoDecision(workers)) ++ capped ++ rateDecision(workers)
    }

  private def autoDecision(workers: Int): String =
    if (workers == 1) s"strategy auto: one worker trains on mini-batches of ${$(batchSize)} rows"
    else
      s"strategy auto: local SGD with $workers workers, which share each mini-batch of ${$(batchSize)} rows " +
        s"(${batchSizeOf(workers)} rows each) and average their replicas every ${windowOf(workers).mkString} mini-batches"

  private def largeBatchDecision(workers: Int): String = {
    val rates = Seq(optimizerSpecOf(workers), fitOptimizerSpec).map(_ \ "learningRate").collect {
      case JDouble(rate) => f"$rate%.4g"
    }
    s"learningRateScaling auto: $workers workers with mini-batches of ${$(batchSize)} rows each take steps of " +
      s"${workers * $(batchSize)} rows, so the learning rate is ${rates.mkString(" in place of ")}, rises over " +
      s"${EffectiveBatch.WarmupSteps} mini-batches and falls to 0 along a cosine; set learningRate, or learningRateScaling='none'"
  }

  private def rateDecision(workers: Int): Option[String] =
    (fitOptimizerSpec \ "learningRate", optimizerSpecOf(workers) \ "learningRate") match {
      case (JDouble(base), JDouble(rate)) if rate != base =>
        Some(
          f"learningRateScaling auto: $rate%.4g in place of $base%.4g for the workers' smaller mini-batches, " +
            s"by the square root of $workers; learningRateScaling='none' leaves it"
        )
      case _ => None
    }

  /** The optimizer that the fit's workers step with, every option resolved. The strategy eamsgd has its own step, which
    * takes nothing but the learning rate of sgd, 0.1 unless set.
    */
  private[firesteel] final def fitOptimizerSpec: JObject =
    if (Strategy($(strategy)).name != Strategy.Eamsgd) optimizerSpec
    else {
      require(
        !isSet(optimizer) || $(optimizer) == "sgd",
        s"the strategy 'eamsgd' has its own step, which takes the learning rate of sgd, not the optimizer '${$(optimizer)}'"
      )
      require(
        !isSet(momentum),
        "the strategy 'eamsgd' has a momentum of its own: set elasticMomentum in place of momentum"
      )
      require(
        !isSet(weightDecay) || $(weightDecay) == 0,
        "the strategy 'eamsgd' has its own step, which has no weight decay"
      )
      val plain = copy(ParamMap(optimizer -> "sgd")).asInstanceOf[TrainingParams]
      if (isSet(learningRate)) plain.optimizerSpec
      else plain.copy(ParamMap(learningRate -> 0.1)).asInstanceOf[TrainingParams].optimizerSpec
    }
}

private[params] object TrainingParams {
  val ScaleByOptimizer = "auto"
  val LeaveRate = "none"
}

/** Setters of [[TrainingParams]], for estimators. */
trait TrainingSetters
    extends TrainingParams
    with StrategySetters
    with OptimizerSetters
    with ControlSetters
    with CheckpointSetters
    with SpreadSetters {
  def setBatchSize(value: Int): this.type = set(batchSize, value)
  def setEpochs(value: Int): this.type = set(epochs, value)
  def setShuffle(value: Boolean): this.type = set(shuffle, value)
  def setShowProgress(value: Boolean): this.type = set(showProgress, value)
  def setLearningRateScaling(value: String): this.type = set(learningRateScaling, value)
  def setSeed(value: Long): this.type = set(seed, value)
}
