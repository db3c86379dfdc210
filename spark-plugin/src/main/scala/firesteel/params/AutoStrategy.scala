package firesteel.params

import org.json4s.JsonAST.{JDouble, JField, JObject}

/** The strategy `auto`: local SGD (Stich, 2019; Lin et al., 2018) whose workers share each mini-batch of the fit.
  *
  * A worker takes its part of every mini-batch, so the fit takes as many steps as one process with that batch size, and the
  * mean of the replicas has the gradient noise of the whole mini-batch. docs/algorithms.md has the reasons, docs/learning.md
  * what was measured.
  */
private[firesteel] object AutoStrategy {

  /** The minimum number of rows of a worker's mini-batch: with fewer rows its steps cost as much as with these. */
  val RowsOfWorker = 8

  /** Mini-batches between two averages: few enough that the replicas stay close to each other. */
  val Window = 8

  /** The window of one worker, whose average is its own replica. */
  val WindowAlone = 64

  /** Returns the number of workers of a fit: at most one for each slot, since workers that share a slot would train one
    * after the other with the same total time.
    *
    * @param requested
    *   the number of workers that the user set, if any
    * @param batchSize
    *   rows of a mini-batch of the fit
    */
  def workers(requested: Option[Int], slots: Int, batchSize: Int): Int =
    Seq(requested.getOrElse(slots), slots, batchSize / RowsOfWorker).min.max(1)

  /** Returns the number of rows of one worker's mini-batch. */
  def batchSize(ofFit: Int, workers: Int): Int =
    math.max(1, math.round(ofFit.toDouble / workers).toInt)

  /** Returns the default communication window. */
  def window(workers: Int): Int = if (workers == 1) WindowAlone else Window

  /** Returns the factor of the learning rate. The steps of an adaptive optimizer shrink by the square root of `workers`
    * when noise dominates the gradients of mini-batches that many times smaller (Malladi et al., 2022, On the SDEs and
    * Scaling Rules for Adaptive Gradient Algorithms); those of SGD do not.
    */
  def rateFactor(optimizer: String, workers: Int): Double =
    if (optimizer == "sgd") 1 else math.sqrt(workers.toDouble)

  /** Returns an optimizer for mini-batches that are `workers` times smaller. The decoupled weight decay of AdamW is
    * multiplied with the learning rate, so it is divided by the same factor.
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
