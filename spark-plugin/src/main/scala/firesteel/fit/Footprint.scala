package firesteel.fit

import firesteel.bridge.NativeRuntime
import org.json4s.DefaultFormats
import org.json4s.jackson.JsonMethods.parse

/** The bytes that a fit needs at least, whatever its data and its mini-batches. The native library has the formula, and
  * `docs/memory.md` the table of it.
  *
  * @param models
  *   the models that the trained weights consist of
  * @param weights
  *   the trained weights as they are saved
  * @param checkpoint
  *   a checkpoint
  * @param server
  *   the parameter server's memory, with the weights that it hands over at the end
  * @param task
  *   what the workers of a task share
  * @param worker
  *   the memory of each worker
  */
private[firesteel] final case class Footprint(
    models: Long,
    weights: Long,
    checkpoint: Long,
    server: Long,
    task: Long,
    worker: Long
) {

  /** The driver's memory where the center variable is spread over so many servers. */
  def onDriver(shards: Int): Long = 2 * weights + onShard(shards)

  /** The memory of one of so many servers. */
  def onShard(shards: Int): Long = (server - 2 * weights) / shards

  /** The memory of an executor.
    *
    * @param workers
    *   the workers of the fit
    * @param tasks
    *   the tasks that they are spread over
    * @param slots
    *   how many tasks the executor runs at once
    */
  def inExecutor(workers: Int, tasks: Int, slots: Int): Long = {
    val each = (workers + tasks - 1) / tasks
    math.min(tasks, slots) * (task + each * worker)
  }
}

private[firesteel] object Footprint {
  private implicit val formats: DefaultFormats.type = DefaultFormats

  /** What a fit with this many workers needs. */
  def of(plan: FitPlan, workers: Int): Footprint =
    parse(NativeRuntime.footprint(plan.footprint(workers))).extract[Footprint]
}
