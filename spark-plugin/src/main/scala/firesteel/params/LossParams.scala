package firesteel.params

import org.apache.spark.ml.param.{DoubleParam, Param, Params}
import org.json4s.JsonAST.{JDouble, JObject, JString}

/** The loss of a network's one output. */
private[firesteel] trait LossParams extends Params {

  /** The losses that this kind of estimator supports. */
  protected def losses: Seq[String]

  /** The loss, averaged over the rows of a mini-batch by their weights. Default: chosen by the network's output. */
  final val loss: Param[String] = TextParam(
    this,
    "loss",
    s"the loss: ${losses.mkString(", ")}; unless set, chosen by the network's output",
    Validators.oneOf("loss", losses)
  )

  final def getLoss: String = $(loss)
}

/** The setter of [[LossParams]], for estimators. */
private[firesteel] trait LossSetter extends LossParams {
  def setLoss(value: String): this.type = set(loss, value)
}

/** The option of the loss `huber_loss`. */
private[firesteel] trait HuberParams extends Params {

  /** The error at which `huber_loss` changes from a square to a line, positive. Default: 1. */
  final val huberDelta: DoubleParam = new DoubleParam(
    this,
    "huberDelta",
    "the error at which huber_loss turns from a square into a line (> 0)",
    Validators.positive("huberDelta")
  )

  setDefault(huberDelta -> 1.0)

  final def getHuberDelta: Double = $(huberDelta)

  /** Returns the `LossSpec` of a loss, given its name. */
  private[firesteel] final def lossSpec(name: String): JObject = name match {
    case Losses.HuberLoss => Losses.huber($(huberDelta))
    // With PyTorch's default of beta, 1, the two losses are equal.
    case Losses.SmoothL1Loss => Losses.huber(1.0)
    case plain => JObject("name" -> JString(plain))
  }
}

/** The setter of [[HuberParams]], for estimators. */
private[firesteel] trait HuberSetter extends HuberParams {
  def setHuberDelta(value: Double): this.type = set(huberDelta, value)
}

/** The losses by their names, which are those of `torch.nn.functional`. */
private[firesteel] object Losses {
  val CrossEntropy = "cross_entropy"
  val BinaryCrossEntropyWithLogits = "binary_cross_entropy_with_logits"
  val NllLoss = "nll_loss"
  val Hinge = "hinge"
  val KlDiv = "kl_div"
  val MseLoss = "mse_loss"
  val L1Loss = "l1_loss"
  val SmoothL1Loss = "smooth_l1_loss"
  val HuberLoss = "huber_loss"
  val PoissonNllLoss = "poisson_nll_loss"

  val all: Seq[String] =
    Seq(CrossEntropy, BinaryCrossEntropyWithLogits, NllLoss, Hinge, KlDiv, MseLoss) ++
      Seq(L1Loss, SmoothL1Loss, HuberLoss, PoissonNllLoss)

  private[params] def huber(delta: Double): JObject =
    JObject("name" -> JString(HuberLoss), "delta" -> JDouble(delta))
}
