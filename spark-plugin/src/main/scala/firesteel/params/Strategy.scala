package firesteel.params

/** A training strategy.
  *
  * @param name
  *   the value of the parameter `strategy`
  * @param options
  *   the parameters of [[StrategyParams]] that it has, each with its name in the `StrategySpec`
  * @param reach
  *   where commits can be scaled: how far the center variable moves by one commit, given the window, when the replica has
  *   moved by 1
  */
private[firesteel] final case class Strategy(
    name: String,
    options: Seq[(String, String)],
    reach: Option[Int => Double] = None
) {
  def has(option: String): Boolean = options.exists(_._1 == option)
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
    Strategy("downpour", delta ++ scale, Some(_ => 1.0)),
    Strategy("adag", delta ++ scale, Some(1.0 / _)),
    Strategy(
      "agn-adaptive",
      (window ++ overlap ++ scale :+ ("adaptiveGamma" -> "gamma")) ++ bothWays,
      Some(1.0 / _)
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

  /** The default scale of commits: 1, unless all workers together would move the center variable farther than each of
    * them moves its replica, which with late updates overshoots.
    */
  def scale(reach: Int => Double, window: Int, workers: Int): Double =
    math.min(1.0, 1.0 / (workers * reach(window)))

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
          s"unknown strategy '$name'; known are ${selectable.mkString(", ")}"
        )
      )
  }
}
