package firesteel.params

import firesteel.util.Json
import org.apache.spark.ml.param.{BooleanParam, DoubleParam, IntParam, Param}
import org.json4s.JsonAST.{JDouble, JField, JInt, JObject, JString}

/** The number of workers, and the strategy that merges their replicas into one model. An option that is not set has the
  * strategy's default. `fit` rejects an option that is set and that the strategy does not have. docs/algorithms.md has
  * the equations.
  */
private[firesteel] trait StrategyParams extends ServerOptimizerParams with CompressionParams {

  /** The training strategy: `auto`, local SGD whose workers share each mini-batch, so that any number of them learns what one
    * process learns; `single`; `ensemble`, whose members' predictions are averaged; asynchronous `downpour`, `adag` (alias
    * `agn`), `agn-adaptive`, `dynsgd`, `aeasgd`, `eamsgd`; in rounds `averaging`, `easgd`, `sync`, `local-sgd`, `diloco`.
    * Default: auto.
    */
  final val strategy: Param[String] = TextParam(
    this,
    "strategy",
    s"training strategy, which merges the workers' replicas into one model: ${Strategy.selectable.mkString(", ")}",
    Validators.oneOf("strategy", Strategy.selectable)
  )

  /** The communication window: the number of mini-batches between two exchanges of a worker with the parameter server.
    * Default: 5 for downpour and dynsgd, 12 for adag and agn-adaptive, 32 for aeasgd, eamsgd and easgd, 8 for
    * local-sgd, 50 for diloco; for auto 8, and 64 for one worker.
    */
  final val window: IntParam = new IntParam(
    this,
    "window",
    "mini-batches between two exchanges with the parameter server (>= 1); unless set, the strategy's default",
    Validators.atLeastOne("window")
  )

  /** The number of workers. The strategy `auto` uses at most this many, and at most one for each slot and for every 8 rows
    * of `batchSize`. With any other strategy, workers take turns if there are more of them than slots. Default: the number
    * of the cluster's slots (cores divided by `spark.task.cpus`), but 1 for `single`.
    */
  final val numWorkers: IntParam = new IntParam(
    this,
    "numWorkers",
    "number of workers (>= 1); the strategy auto uses at most one for each slot and for every 8 rows of batchSize; " +
      "unless set, the number of the cluster's slots, or 1 for the strategy single",
    Validators.atLeastOne("numWorkers")
  )

  /** The moving rate of aeasgd, eamsgd and easgd, positive. Default: 0.9 divided by the workers for easgd; for aeasgd and
    * eamsgd 0.9 divided by the square root of workers times tasks, which is the same where each worker has a slot.
    */
  final val elasticAlpha: DoubleParam = new DoubleParam(
    this,
    "elasticAlpha",
    "moving rate of the elastic strategies (> 0); unless set, 0.9 divided by the number of workers, and more for aeasgd " +
      "and eamsgd if workers take turns on fewer slots",
    Validators.positive("elasticAlpha")
  )

  /** The elastic force of aeasgd, eamsgd and easgd, positive: times the learning rate, it is the moving rate. Instead of
    * `elasticAlpha`.
    */
  final val elasticRho: DoubleParam = new DoubleParam(
    this,
    "elasticRho",
    "elastic force (> 0); times the learning rate, it is the moving rate of the elastic strategies",
    Validators.positive("elasticRho")
  )

  /** Momentum of eamsgd's local step, in [0, 1). Default: 0.9. */
  final val elasticMomentum: DoubleParam = new DoubleParam(
    this,
    "elasticMomentum",
    "momentum of eamsgd's local step, in [0, 1); unless set, 0.9",
    Validators.fraction("elasticMomentum")
  )

  /** The squared distance at which agn-adaptive halves an update, positive. Default: 1e-4. */
  final val adaptiveGamma: DoubleParam = new DoubleParam(
    this,
    "adaptiveGamma",
    "the squared distance at which agn-adaptive halves an update (> 0); unless set, 1e-4",
    Validators.positive("adaptiveGamma")
  )

  /** Learning rate of diloco's server, positive. Default: 0.7. */
  final val outerLearningRate: DoubleParam = new DoubleParam(
    this,
    "outerLearningRate",
    "learning rate of diloco's server (> 0); unless set, 0.7",
    Validators.positive("outerLearningRate")
  )

  /** Nesterov momentum of diloco's server, in [0, 1). Default: 0.9. */
  final val outerMomentum: DoubleParam = new DoubleParam(
    this,
    "outerMomentum",
    "Nesterov momentum of diloco's server, in [0, 1); unless set, 0.9",
    Validators.fraction("outerMomentum")
  )

  /** The factor of commits of downpour, adag and agn-adaptive, positive. Default: a commit moves the center variable by the
    * worker's displacement divided by the square root of workers times tasks; for adag at most by the displacement divided
    * by the square root of the window, for agn-adaptive at most as without a factor. Tasks train at the same time: with more of them, larger commits
    * diverge, since each comes late by as many others; with more workers, smaller commits average the noise of their
    * mini-batches. A factor of 1 gives the plain rules.
    */
  final val serverScale: DoubleParam = new DoubleParam(
    this,
    "serverScale",
    "factor of the commits of downpour, adag and agn-adaptive (> 0), 1 for the plain rules; unless set, it depends on " +
      "the workers, the tasks that train at the same time, and the window",
    Validators.positive("serverScale")
  )

  /** True to let the workers of asynchronous strategies train on during an exchange. This hides the network's latency, but
    * makes every commit one window late: set it if exchanges are slow and workers are few. Default: false.
    */
  final val overlap: BooleanParam = new BooleanParam(
    this,
    "overlap",
    "true to let asynchronous workers train on during an exchange, which makes commits one window late; unless set, false"
  )

  /** The number of servers that hold the center variable: the driver's, and one in each of as many executors as needed,
    * which need Firesteel's plugin. At most one for 32768 parameters. Default: 1.
    */
  final val serverShards: IntParam = new IntParam(
    this,
    "serverShards",
    "number of servers, in the driver and in executors, that hold the network's parameters (>= 1)",
    Validators.atLeastOne("serverShards")
  )

  setDefault(strategy -> Strategy.Auto, serverShards -> 1)

  final def getStrategy: String = $(strategy)
  final def getWindow: Int = $(window)
  final def getNumWorkers: Int = $(numWorkers)
  final def getServerShards: Int = $(serverShards)

  /** [[strategySpec(workers:Int,tasks:Int)*]] of a fit whose workers all train at the same time. */
  private[firesteel] final def strategySpec(workers: Int): JObject = strategySpec(workers, workers)

  /** The strategy of a fit with this many workers, with its options; an absent one is the strategy's default.
    *
    * @param tasks
    *   the tasks that the workers are spread over: those of one task take turns
    * @throws java.lang.IllegalArgumentException
    *   when an option is set that the strategy does not have
    */
  private[firesteel] final def strategySpec(workers: Int, tasks: Int): JObject = {
    val chosen = Strategy($(strategy))
    strategyOptions.filter(option => isSet(option) && !chosen.has(option.name)).foreach { option =>
      val has = chosen.options.map(_._1)
      throw new IllegalArgumentException(
        s"the strategy '${$(strategy)}' has no ${option.name}; it has ${if (has.isEmpty) "no options"
          else has.mkString(", ")}"
      )
    }
    require(
      !isSet(elasticAlpha) || !isSet(elasticRho),
      "elasticAlpha and elasticRho both give the moving rate; set one of them"
    )
    val compressed = compressionSpec
    val options = chosen.options.flatMap {
      case ("serverOptimizer", key) => serverOptimizerSpec.map(JField(key, _))
      case ("serverScale", key) => field(key, commitScale(workers, tasks).filter(_ != 1.0))
      case ("elasticAlpha", key) => field(key, movingRate(workers, tasks))
      case ("compression", key) => compressed.map(JField(key, _))
      case ("window", key) => windowOf(workers).map(value => JField(key, JInt(value)))
      case (name, key) => get(getParam(name)).map(value => JField(key, Json.of(value)))
    }
    JObject(JField("name", JString(chosen.name)) :: options.toList)
  }

  /** Returns the communication window of a fit with this many workers, unless it is the strategy's default. */
  private[firesteel] final def windowOf(workers: Int): Option[Int] =
    get(window).orElse(Option.when($(strategy) == Strategy.Auto)(AutoStrategy.window(workers)))

  private def field(key: String, value: Option[Double]): Option[JField] =
    value.map(number => JField(key, JDouble(number)))

  /** The factor of commits, where the strategy has one. A server optimizer has a learning rate for that. */
  private[firesteel] final def commitScale(workers: Int, tasks: Int): Option[Double] =
    Strategy($(strategy)).commits.flatMap { size =>
      lazy val default =
        size.scale(get(window).getOrElse(Strategy.AdagWindow), Strategy.share(workers, tasks))
      get(serverScale).orElse(Option.when(!isSet(serverOptimizer))(default))
    }

  /** The moving rate, unless it is the strategy's own default or follows from `elasticRho`. */
  private[firesteel] final def movingRate(workers: Int, tasks: Int): Option[Double] =
    get(elasticAlpha).orElse {
      Option.when(
        Strategy($(strategy)).isElasticWithoutRounds && !isSet(elasticRho) && tasks < workers
      )(
        Strategy.movingRate(workers, tasks)
      )
    }

  private def strategyOptions: Seq[Param[_]] =
    Seq(
      window,
      serverScale,
      elasticAlpha,
      elasticRho,
      elasticMomentum,
      adaptiveGamma,
      outerLearningRate
    ) ++
      Seq(outerMomentum, overlap, serverOptimizer, compression, compressPull)
}

/** Setters of [[StrategyParams]], for estimators. */
private[firesteel] trait StrategySetters
    extends StrategyParams
    with ServerOptimizerSetters
    with CompressionSetters {
  def setStrategy(value: String): this.type = set(strategy, value)
  def setWindow(value: Int): this.type = set(window, value)
  def setNumWorkers(value: Int): this.type = set(numWorkers, value)
  def setServerShards(value: Int): this.type = set(serverShards, value)
  def setElasticAlpha(value: Double): this.type = set(elasticAlpha, value)
  def setElasticRho(value: Double): this.type = set(elasticRho, value)
  def setElasticMomentum(value: Double): this.type = set(elasticMomentum, value)
  def setAdaptiveGamma(value: Double): this.type = set(adaptiveGamma, value)
  def setOuterLearningRate(value: Double): this.type = set(outerLearningRate, value)
  def setOuterMomentum(value: Double): this.type = set(outerMomentum, value)
  def setServerScale(value: Double): this.type = set(serverScale, value)
  def setOverlap(value: Boolean): this.type = set(overlap, value)
}
