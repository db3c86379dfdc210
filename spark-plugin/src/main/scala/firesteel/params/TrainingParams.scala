package firesteel.params

import org.apache.spark.ml.param.shared.HasSeed
import org.apache.spark.ml.param.{BooleanParam, IntParam, Param}

/** What every way of training has: how long, in what batches, in what order, on which loss. */
trait TrainingParams extends StrategyParams with OptimizerParams with HasSeed {

  /** The losses that this kind of estimator can train on. */
  protected def losses: Seq[String]

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

  /** Whether each worker takes its rows in a new order every epoch, which the seed decides. Default: true. */
  final val shuffle: BooleanParam =
    new BooleanParam(this, "shuffle", "whether each epoch takes the rows in a new order")

  /** The loss, averaged over the rows of a mini-batch by their weights. Default: what the network's output calls for.
    */
  final val loss: Param[String] = new Param[String](
    this,
    "loss",
    s"the loss: ${losses.mkString(", ")}; unless set, what the network's output calls for",
    Validators.oneOf("loss", losses)
  )

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
  final def getLoss: String = $(loss)
  final def getShowProgress: Boolean = $(showProgress)
}

/** Setters of [[TrainingParams]], for estimators. */
trait TrainingSetters extends TrainingParams with StrategySetters with OptimizerSetters {
  def setBatchSize(value: Int): this.type = set(batchSize, value)
  def setEpochs(value: Int): this.type = set(epochs, value)
  def setShuffle(value: Boolean): this.type = set(shuffle, value)
  def setLoss(value: String): this.type = set(loss, value)
  def setShowProgress(value: Boolean): this.type = set(showProgress, value)
  def setSeed(value: Long): this.type = set(seed, value)
}
