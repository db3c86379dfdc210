package firesteel.params

import org.apache.spark.ml.param.shared.HasSeed
import org.apache.spark.ml.param.{BooleanParam, IntParam, ParamMap}
import org.json4s.JsonAST.JObject

/** What every way of training has: how long, in what batches, in what order. */
trait TrainingParams
    extends StrategyParams
    with OptimizerParams
    with ControlParams
    with CheckpointParams
    with HasSeed {

  /** Rows of a mini-batch of one worker. Default: 32. */
  final val batchSize: IntParam = new IntParam(
    this,
    "batchSize",
    "rows of a mini-batch of one worker (>= 1)",
    Validators.atLeastOne("batchSize")
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

  setDefault(batchSize -> 32, epochs -> 10, shuffle -> true)

  final def getBatchSize: Int = $(batchSize)
  final def getEpochs: Int = $(epochs)
  final def getShuffle: Boolean = $(shuffle)
  final def getShowProgress: Boolean = $(showProgress)

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

/** Setters of [[TrainingParams]], for estimators. */
trait TrainingSetters
    extends TrainingParams
    with StrategySetters
    with OptimizerSetters
    with ControlSetters
    with CheckpointSetters {
  def setBatchSize(value: Int): this.type = set(batchSize, value)
  def setEpochs(value: Int): this.type = set(epochs, value)
  def setShuffle(value: Boolean): this.type = set(shuffle, value)
  def setShowProgress(value: Boolean): this.type = set(showProgress, value)
  def setSeed(value: Long): this.type = set(seed, value)
}
