package firesteel.params

import firesteel.util.Json
import org.apache.spark.ml.param.{BooleanParam, DoubleParam, Param, Params}
import org.json4s.JsonAST.{JDouble, JField, JObject, JString}

/** The parameter server's optimizer, for the strategies downpour, adag and dynsgd: a commit `d` is added to the center
  * variable, or `-d` is the gradient of an optimizer on the server (Dean et al. 2012 use Adagrad). Options that are not
  * set have PyTorch's default for the chosen optimizer.
  */
private[firesteel] trait ServerOptimizerParams extends Params {

  /** The server's optimizer: sgd, adagrad, adam or yogi. Default: none, which adds the commits. */
  final val serverOptimizer: Param[String] = TextParam(
    this,
    "serverOptimizer",
    s"the parameter server's optimizer: ${ServerOptimizer.names.mkString(", ")}; unless set, updates are added",
    Validators.oneOf("serverOptimizer", ServerOptimizer.names)
  )

  /** Learning rate of the server's optimizer, positive. Default: 0.001, but 0.01 for adagrad and yogi, and 1 for sgd. */
  final val serverLearningRate: DoubleParam =
    option("serverLearningRate", "learning rate (> 0)", Validators.positive)

  /** Momentum of the server's sgd, at least 0. Default: 0. */
  final val serverMomentum: DoubleParam =
    option("serverMomentum", "momentum of sgd (>= 0)", Validators.notNegative)

  /** True for Nesterov momentum in the server's sgd. Default: false. */
  final val serverNesterov: BooleanParam =
    new BooleanParam(
      this,
      "serverNesterov",
      "true for Nesterov momentum in the server's sgd"
    )

  /** Decay of the first moment of the server's adam and yogi, in [0, 1). Default: 0.9. */
  final val serverBeta1: DoubleParam =
    option(
      "serverBeta1",
      "decay of the first moment of adam and yogi, in [0, 1)",
      Validators.fraction
    )

  /** Decay of the second moment of the server's adam and yogi, in [0, 1). Default: 0.999. */
  final val serverBeta2: DoubleParam =
    option(
      "serverBeta2",
      "decay of the second moment of adam and yogi, in [0, 1)",
      Validators.fraction
    )

  /** The term that the server's adagrad, adam and yogi add to denominators for numerical stability, at least 0.
    * Default: 1e-10 for adagrad, 1e-8 for adam, 1e-3 for yogi.
    */
  final val serverEpsilon: DoubleParam =
    option(
      "serverEpsilon",
      "term added to denominators for numerical stability (>= 0)",
      Validators.notNegative
    )

  /** Returns the server's optimizer with every option resolved, if there is one.
    *
    * @throws java.lang.IllegalArgumentException
    *   when an option is set that it does not have
    */
  private[params] final def serverOptimizerSpec: Option[JObject] = {
    val chosen = get(serverOptimizer).map(ServerOptimizer(_))
    serverOptions
      .filter { case (option, name) => isSet(option) && !chosen.exists(_.has(name)) }
      .foreach { case (option, _) =>
        throw new IllegalArgumentException(chosen.fold(s"${option.name} needs a serverOptimizer") {
          optimizer =>
            s"the server's optimizer '${optimizer.name}' has no ${option.name}"
        })
      }
    chosen.map { optimizer =>
      val set = serverOptions.flatMap { case (option, name) => get(option).map(name -> _) }.toMap
      val options = optimizer.options.map { case (name, default) =>
        JField(name, set.get(name).fold(default)(Json.of))
      }
      JObject(JField("name", JString(optimizer.name)) :: options.toList)
    }
  }

  private def serverOptions: Seq[(Param[_], String)] = Seq(
    serverLearningRate -> "learningRate",
    serverMomentum -> "momentum",
    serverNesterov -> "nesterov",
    serverBeta1 -> "beta1",
    serverBeta2 -> "beta2",
    serverEpsilon -> "epsilon"
  )

  private def option(name: String, doc: String, check: String => Double => Boolean): DoubleParam =
    new DoubleParam(this, name, s"the server's optimizer: $doc", check(name))
}

/** Setters of [[ServerOptimizerParams]], for estimators. */
private[firesteel] trait ServerOptimizerSetters extends ServerOptimizerParams {
  def setServerOptimizer(value: String): this.type = set(serverOptimizer, value)
  def setServerLearningRate(value: Double): this.type = set(serverLearningRate, value)
  def setServerMomentum(value: Double): this.type = set(serverMomentum, value)
  def setServerNesterov(value: Boolean): this.type = set(serverNesterov, value)
  def setServerBeta1(value: Double): this.type = set(serverBeta1, value)
  def setServerBeta2(value: Double): this.type = set(serverBeta2, value)
  def setServerEpsilon(value: Double): this.type = set(serverEpsilon, value)
}

/** The optimizers of [[Optimizer]] that are available on the server. */
private[firesteel] object ServerOptimizer {
  val names: Seq[String] = Seq("sgd", "adagrad", "adam", "yogi")

  def apply(name: String): Optimizer = {
    val optimizer = Optimizer(name)
    // An update is the move of a window, not a gradient: a rate of 1 is the same as no optimizer.
    if (name != "sgd") optimizer
    else {
      optimizer.copy(options = optimizer.options.map {
        case ("learningRate", _) => "learningRate" -> JDouble(1)
        case other => other
      })
    }
  }
}
