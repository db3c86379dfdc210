package firesteel.params

import org.apache.spark.ml.param.shared.HasSeed
import org.apache.spark.ml.param.{BooleanParam, IntParam, Param, ParamMap}
import org.json4s.JsonAST.{JDouble, JInt, JNull, JObject, JString, JValue}

/** The parameters of every training: its length, its mini-batches, the order of its rows. */
private[firesteel] trait TrainingParams
    extends StrategyParams
    with OptimizerParams
    with ControlParams
    with CheckpointParams
    with SpreadParams
    with HasSeed {

  /** The rows of a mini-batch. With the strategy `auto`, all workers share one mini-batch; with any other strategy,
    * each worker has its own. Default: 32.
    */
  final val batchSize: IntParam = new IntParam(
    this,
    "batchSize",
    "rows of a mini-batch (>= 1): with the strategy auto, all workers share one mini-batch; else each worker has its own",
    Validators.atLeastOne("batchSize")
  )

  /** The scaling of the learning rate by the strategy `auto` for the smaller mini-batches of several workers: `auto`
    * multiplies the rate of an adaptive optimizer (all but sgd) by the square root of the number of workers, `none` keeps
    * it. Default: auto.
    */
  final val learningRateScaling: Param[String] = TextParam(
    this,
    "learningRateScaling",
    "scaling of the learning rate by the strategy auto for the smaller mini-batches of several workers: auto, none",
    Validators.oneOf(
      "learningRateScaling",
      Seq(TrainingParams.ScaleByOptimizer, TrainingParams.LeaveRate)
    )
  )

  /** Passes over the data. Default: 10. */
  final val epochs: IntParam =
    new IntParam(this, "epochs", "passes over the data (>= 1)", Validators.atLeastOne("epochs"))

  /** True to train the rows in a new order in each epoch, which depends on the seed; otherwise always in the order of
    * their partition. Default: true.
    */
  final val shuffle: BooleanParam =
    new BooleanParam(this, "shuffle", "true to train the rows in a new order in each epoch")

  /** True to draw a progress line on standard error; else each epoch is logged. Default: `spark.firesteel.progress`,
    * which defaults to `spark.ui.showConsoleProgress`: true in shells.
    */
  final val showProgress: BooleanParam = new BooleanParam(
    this,
    "showProgress",
    "true to draw a progress line during fit; unless set, spark.firesteel.progress decides"
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

  /** Returns the number of workers of the fit on a cluster with this many slots. */
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

  /** Returns the number of rows of a worker's mini-batch, with this many workers. */
  private[firesteel] final def batchSizeOf(workers: Int): Int =
    if (isAuto) AutoStrategy.batchSize($(batchSize), workers) else $(batchSize)

  /** Returns the optimizer of a fit with this many workers.
    *
    * @throws java.lang.IllegalArgumentException
    *   when learningRateScaling is set for a strategy other than `auto`
    */
  private[firesteel] final def optimizerSpecOf(workers: Int): JObject = {
    require(
      isAuto || !isSet(learningRateScaling),
      s"learningRateScaling applies to the strategy 'auto', not to '${$(strategy)}'; clear it"
    )
    if (isAuto && $(learningRateScaling) == TrainingParams.ScaleByOptimizer)
      AutoStrategy.scaled(fitOptimizerSpec, workers)
    else fitOptimizerSpec
  }

  /** The user's settings whose effect depends on the number of workers. */
  private[firesteel] final def workerDependentSettings: JObject = JObject(
    "strategy" -> JString($(strategy)),
    "batchSize" -> JInt($(batchSize)),
    "learningRateScaling" -> JString($(learningRateScaling)),
    "window" -> get(window).fold[JValue](JNull)(JInt(_)),
    "serverScale" -> get(serverScale).fold[JValue](JNull)(JDouble(_)),
    "elasticAlpha" -> get(elasticAlpha).fold[JValue](JNull)(JDouble(_))
  )

  /** Returns the decisions for a fit with this many workers, a sentence each. */
  private[firesteel] final def strategyDecisions(workers: Int, slots: Int): Seq[String] =
    if (!isAuto) commitDecision(workers, math.min(workers, slots)).toSeq
    else {
      val capped = get(numWorkers).filter(_ > workers).map { requested =>
        s"numWorkers is $requested, but $workers ${if (workers == 1) "worker trains"
          else "workers train"}: strategy auto has at " +
          s"most one worker for each of $slots slots and for every ${AutoStrategy.RowsOfWorker} rows of batchSize ${$(batchSize)}"
      }
      val idle = Option.when(get(numWorkers).isEmpty && workers < slots)(
        s"$workers of $slots slots train: strategy auto has one worker for every ${AutoStrategy.RowsOfWorker} rows of batchSize " +
          s"${$(batchSize)}; a larger batchSize or another strategy uses more slots"
      )
      Seq(autoDecision(workers)) ++ capped ++ idle ++ rateDecision(workers)
    }

  /** The default size of commits where it depends on the cluster. */
  private def commitDecision(workers: Int, tasks: Int): Option[String] = {
    val options = Seq(
      serverScale -> commitScale(workers, tasks).filter(_ != 1.0),
      elasticAlpha -> movingRate(workers, tasks)
    )
    options.collectFirst {
      case (option, Some(value)) if !isSet(option) =>
        f"strategy ${$(strategy)}: ${option.name} is $value%.4g, for $workers workers, $tasks of which train at the same time"
    }
  }

  private def autoDecision(workers: Int): String =
    if (workers == 1) s"strategy auto: one worker trains on mini-batches of ${$(batchSize)} rows"
    else
      s"strategy auto: local SGD with $workers workers, which share each mini-batch of ${$(batchSize)} rows " +
        s"(${batchSizeOf(workers)} rows each) and average their replicas every ${windowOf(workers).mkString} mini-batches"

  private def rateDecision(workers: Int): Option[String] =
    (fitOptimizerSpec \ "learningRate", optimizerSpecOf(workers) \ "learningRate") match {
      case (JDouble(base), JDouble(rate)) if rate != base =>
        Some(
          f"learningRateScaling auto: the learning rate is $rate%.4g instead of $base%.4g, multiplied by the square root of " +
            s"$workers for the workers' smaller mini-batches; learningRateScaling='none' turns this off"
        )
      case _ => None
    }

  /** Returns the optimizer of the fit's workers with every option resolved. The strategy eamsgd has its own step, which
    * uses only the learning rate of sgd, by default 0.1.
    */
  private[firesteel] final def fitOptimizerSpec: JObject =
    if (Strategy($(strategy)).name != Strategy.Eamsgd) optimizerSpec
    else {
      require(
        !isSet(optimizer) || $(optimizer) == "sgd",
        s"the strategy 'eamsgd' has its own step, which only takes the learning rate of sgd, not the " +
          s"optimizer '${$(optimizer)}'; clear it"
      )
      require(
        !isSet(momentum),
        "the strategy 'eamsgd' has its own momentum: set elasticMomentum instead of momentum"
      )
      require(
        !isSet(weightDecay) || $(weightDecay) == 0,
        "the strategy 'eamsgd' has its own step, which has no weight decay; clear weightDecay"
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
private[firesteel] trait TrainingSetters
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
