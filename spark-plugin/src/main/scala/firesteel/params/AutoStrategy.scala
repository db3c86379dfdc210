package firesteel.params

import org.json4s.JsonAST.{JDouble, JField, JObject}

/** The strategy `auto`: local SGD (Stich, 2019; Lin et al., 2018) whose workers share each mini-batch of the fit.
  *
  * A worker takes its part of every mini-batch, so the fit takes as many steps as one process with that batch size, and the
  * mean of the replicas has the gradient noise of the whole mini-batch. docs/algorithms.md has the reasons, docs/learning.md
  * what was measured.
  */
private[firesteel] object AutoStrategy {

  /** The fewest rows of a mini-batch that are worth a worker: below, its steps cost as much as those of more rows. */
  val RowsOfWorker = 8

  /** Mini-batches between two averages: few enough that replicas stay close to each other. */
  val Window = 8

  /** For one worker, whose average is its own replica. */
  val WindowAlone = 64

  /** The workers of a fit: at most one for each slot, since workers that share a slot would train one after the other what
    * one of them trains at once.
    *
    * @param requested
    *   the workers that the user asked for, if any
    * @param batchSize
    *   rows of a mini-batch of the fit
    */
  def workers(requested: Option[Int], slots: Int, batchSize: Int): Int =
    Seq(requested.getOrElse(slots), slots, batchSize / RowsOfWorker).min.max(1)

  /** Rows of a mini-batch of one worker. */
  def batchSize(ofFit: Int, workers: Int): Int =
    math.max(1, math.round(ofFit.toDouble / workers).toInt)

  /** The communication window unless the user sets one. */
  def window(workers: Int): Int = if (workers == 1) WindowAlone else Window

  /** What the learning rate is multiplied with. The steps of an adaptive optimizer shrink by the square root of `workers`
    * when noise dominates the gradients of mini-batches so many times smaller (Malladi et al., 2022, On the SDEs and Scaling
    * Rules for Adaptive Gradient Algorithms); those of SGD do not.
    */
  def rateFactor(optimizer: String, workers: Int): Double =
    if (optimizer == "sgd") 1 else math.sqrt(workers.toDouble)

  /** An optimizer for mini-batches that are `workers` times smaller. The decoupled weight decay of AdamW is multiplied with
    * the learning rate, so it is divided by the same factor.
    */
  def scaled(optimizer: JObject, workers: Int): JObject = {
    val name = (optimizer \ "name").values.toString
    val factor = rateFactor(name, workers)
    JObject(optimizer.obj.map {
      case JField("learningRate", JDouble(rate)) => JField("learningRate", JDouble(rate * factor))
      case JField("weightDecay", JDouble(decay)) if name == "adamw" =>
        JField("weightDecay", JDouble(decay / factor))
      case other => other
    })
  }
}
