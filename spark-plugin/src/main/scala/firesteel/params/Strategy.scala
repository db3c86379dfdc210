package firesteel.params

/** A training strategy.
  *
  * @param name
  *   as users select it
  * @param options
  *   the parameters of [[StrategyParams]] that it has, each with its name in the `StrategySpec`
  */
private[firesteel] final case class Strategy(name: String, options: Seq[(String, String)]) {
  def has(option: String): Boolean = options.exists(_._1 == option)
}

private[firesteel] object Strategy {
  val Single = "single"
  val Sync = "sync"
  val Eamsgd = "eamsgd"

  private val window = Seq("window" -> "window")
  private val overlap = Seq("overlap" -> "overlap")
  private val delta = window ++ overlap :+ ("serverOptimizer" -> "serverOptimizer")
  private val elastic = window ++ Seq("elasticAlpha" -> "alpha", "elasticRho" -> "rho")

  val all: Seq[Strategy] = Seq(
    Strategy(Single, Nil),
    Strategy("averaging", Nil),
    Strategy("ensemble", Nil),
    Strategy("downpour", delta),
    Strategy("adag", delta),
    Strategy("agn-adaptive", window ++ overlap :+ ("adaptiveGamma" -> "gamma")),
    Strategy("dynsgd", delta),
    Strategy("aeasgd", elastic ++ overlap),
    Strategy(Eamsgd, elastic ++ overlap :+ ("elasticMomentum" -> "momentum")),
    Strategy("easgd", elastic),
    Strategy(Sync, Nil),
    Strategy(
      "diloco",
      window ++ Seq(
        "outerLearningRate" -> "outerLearningRate",
        "outerMomentum" -> "outerMomentum"
      )
    )
  )

  private val aliases = Map("agn" -> "adag")

  /** The names by which users select strategies. */
  val names: Seq[String] = all.map(_.name) ++ aliases.keys

  /** The strategy of this name, which must be one of [[names]]. */
  def apply(name: String): Strategy = {
    val known = aliases.getOrElse(name, name)
    all
      .find(_.name == known)
      .getOrElse(
        throw new IllegalArgumentException(
          s"unknown strategy '$name'; known are ${names.mkString(", ")}"
        )
      )
  }
}
