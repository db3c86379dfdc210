package firesteel.params

/** A training strategy.
  *
  * @param name
  *   the value of the parameter `strategy`
  * @param options
  *   the parameters of [[StrategyParams]] that it has, each with its name in the `StrategySpec`
  * @param commits
  *   the size of commits, where they can be scaled
  */
private[firesteel] final case class Strategy(
    name: String,
    options: Seq[(String, String)],
    commits: Option[CommitSize] = None
) {
  def has(option: String): Boolean = options.exists(_._1 == option)

  /** True for aeasgd and eamsgd. */
  def isElasticWithoutRounds: Boolean = has("elasticAlpha") && has("overlap")
}

/** The size of a strategy's commits without a scale.
  *
  * @param centerMovePerReplicaMove
  *   how far the center variable moves by one commit, given the window, when the replica has moved by 1
  * @param mostScale
  *   the largest default scale, given the window
  */
private[firesteel] final case class CommitSize(
    centerMovePerReplicaMove: Int => Double,
    mostScale: Int => Double = _ => 1.0
) {

  /** The default scale of a fit whose commits are to be divided by `share`. */
  def scale(window: Int, share: Double): Double =
    math.min(mostScale(window), 1.0 / (share * centerMovePerReplicaMove(window)))
}

private[firesteel] object Strategy {

  /** Chooses local SGD and its settings by the workers and the mini-batch: see [[AutoStrategy]]. */
  val Auto = "auto"

  val Single = "single"
  val Sync = "sync"
  val Eamsgd = "eamsgd"
  val LocalSgd = "local-sgd"

  private val window = Seq("window" -> "window")
  private val overlap = Seq("overlap" -> "overlap")
  private val compression = Seq("compression" -> "compression")
  private val bothWays = compression :+ ("compressPull" -> "compressPull")
  private val delta = (window ++ overlap :+ ("serverOptimizer" -> "serverOptimizer")) ++ bothWays
  private val scale = Seq("serverScale" -> "scale")
  private val elastic = window ++ Seq("elasticAlpha" -> "alpha", "elasticRho" -> "rho")

  val all: Seq[Strategy] = Seq(
    Strategy(Single, Nil),
    Strategy("averaging", Nil),
    Strategy("ensemble", Nil),
    Strategy("downpour", delta ++ scale, Some(CommitSize(_ => 1.0))),
    // The steps of a window add up like its square root if noise dominates them.
    Strategy(
      "adag",
      delta ++ scale,
      Some(CommitSize(1.0 / _, window => math.sqrt(window.toDouble)))
    ),
    Strategy(
      "agn-adaptive",
      (window ++ overlap ++ scale :+ ("adaptiveGamma" -> "gamma")) ++ bothWays,
      Some(CommitSize(1.0 / _))
    ),
    Strategy("dynsgd", delta),
    Strategy("aeasgd", elastic ++ overlap ++ compression),
    Strategy(Eamsgd, (elastic ++ overlap :+ ("elasticMomentum" -> "momentum")) ++ compression),
    Strategy("easgd", elastic),
    Strategy(Sync, bothWays),
    Strategy(LocalSgd, window ++ bothWays),
    Strategy(
      "diloco",
      window ++ Seq(
        "outerLearningRate" -> "outerLearningRate",
        "outerMomentum" -> "outerMomentum"
      ) ++ bothWays
    )
  )

  /** The default window of adag and agn-adaptive; the native library has those of all strategies. */
  val AdagWindow = 12

  /** The default moving rate of aeasgd and eamsgd: beta of the paper (Zhang et al., 2015) divided by [[share]]. */
  def movingRate(workers: Int, tasks: Int): Double = ElasticBeta / share(workers, tasks)

  /** The geometric mean of workers and tasks, by which a commit is divided. Commits divided by the workers are an average of
    * all, which learns slowly; divided by the tasks they are as large as late commits may be, and noisy. docs/algorithms.md
    * has the figures.
    */
  def share(workers: Int, tasks: Int): Double = math.sqrt(workers.toDouble * tasks)

  private val ElasticBeta = 0.9

  private val aliases = Map("agn" -> "adag")

  /** The names and aliases of strategies. */
  val names: Seq[String] = all.map(_.name) ++ aliases.keys

  /** The names by which users select strategies. */
  val selectable: Seq[String] = Auto +: names

  /** Returns the strategy with this name, which must be one of [[selectable]]. */
  def apply(name: String): Strategy = {
    val known = if (name == Auto) LocalSgd else aliases.getOrElse(name, name)
    all
      .find(_.name == known)
      .getOrElse(
        throw new IllegalArgumentException(
          s"unknown strategy '$name'; use one of ${selectable.mkString(", ")}"
        )
      )
  }
}
