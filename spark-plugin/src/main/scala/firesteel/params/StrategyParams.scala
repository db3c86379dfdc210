package firesteel.params

import org.apache.spark.ml.param.{IntParam, Param, Params}
import org.json4s.JsonAST.{JInt, JNull, JObject, JString}

/** How many workers train, and how their replicas become one center variable. */
trait StrategyParams extends Params {

  /** The training strategy: `single`, `downpour` or `adag` (alias `agn`). Default: adag. */
  final val strategy: Param[String] = new Param[String](
    this,
    "strategy",
    s"how the workers' replicas become one model: ${StrategyParams.names.mkString(", ")}",
    Validators.oneOf("strategy", StrategyParams.names)
  )

  /** The communication window: how many mini-batches a worker trains between two exchanges with the parameter server.
    * Default: the strategy's, 12 for adag, 5 for downpour; `single` has none.
    */
  final val window: IntParam = new IntParam(
    this,
    "window",
    "mini-batches between two exchanges with the parameter server (>= 1); unless set, the strategy's default",
    Validators.atLeastOne("window")
  )

  /** The number of workers. More than the cluster has slots share them and take turns. Default: the cluster's slots
    * (cores divided by `spark.task.cpus`), but 1 for `single`.
    */
  final val numWorkers: IntParam = new IntParam(
    this,
    "numWorkers",
    "the number of workers (>= 1); unless set, the cluster's slots, or 1 for the strategy single",
    Validators.atLeastOne("numWorkers")
  )

  setDefault(strategy -> "adag")

  final def getStrategy: String = $(strategy)
  final def getWindow: Int = $(window)
  final def getNumWorkers: Int = $(numWorkers)

  /** The strategy with its options; an absent window is the strategy's default. */
  private[firesteel] final def strategySpec: JObject = {
    require(
      $(strategy) != StrategyParams.Single || !isSet(window),
      "the strategy 'single' has no window: it never exchanges with the parameter server"
    )
    JObject(
      "name" -> JString($(strategy)),
      "window" -> get(window).map(JInt(_)).getOrElse(JNull)
    )
  }

  /** The fit's workers on a cluster with this many slots. */
  private[firesteel] final def workersOn(slots: Int): Int = {
    val single = $(strategy) == StrategyParams.Single
    val workers = get(numWorkers).getOrElse(if (single) 1 else slots)
    require(
      !single || workers == 1,
      s"the strategy 'single' trains with one worker, but numWorkers is $workers"
    )
    workers
  }
}

private[firesteel] object StrategyParams {
  val Single = "single"
  val names: Seq[String] = Seq(Single, "downpour", "adag", "agn")
}

/** Setters of [[StrategyParams]], for estimators. */
trait StrategySetters extends StrategyParams {
  def setStrategy(value: String): this.type = set(strategy, value)
  def setWindow(value: Int): this.type = set(window, value)
  def setNumWorkers(value: Int): this.type = set(numWorkers, value)
}
