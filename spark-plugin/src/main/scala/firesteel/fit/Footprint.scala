package firesteel.fit

import firesteel.bridge.NativeRuntime
import org.json4s.DefaultFormats
import org.json4s.jackson.JsonMethods.parse

/** The minimum memory of a fit in bytes, independent of its data and its mini-batches. The native library has the
  * formula, and `docs/memory.md` its table.
  *
  * @param models
  *   the number of models in the trained weights
  * @param weights
  *   the saved weights
  * @param checkpoint
  *   a checkpoint
  * @param server
  *   the memory of the parameter server, with the weights that it returns at the end
  * @param task
  *   the memory that the workers of a task share
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

  /** Returns the driver's memory if the center variable is spread over this many servers. */
  def onDriver(shards: Int): Long = 2 * weights + onShard(shards)

  /** Returns the memory of one of this many servers. */
  def onShard(shards: Int): Long = (server - 2 * weights) / shards

  /** Returns the memory of an executor.
    *
    * @param workers
    *   the number of workers of the fit
    * @param tasks
    *   the number of tasks of the workers
    * @param slots
    *   the number of tasks that the executor runs at once
    */
  def inExecutor(workers: Int, tasks: Int, slots: Int): Long = {
    val each = (workers + tasks - 1) / tasks
    math.min(tasks, slots) * (task + each * worker)
  }
}

private[firesteel] object Footprint {
  private implicit val formats: DefaultFormats.type = DefaultFormats

  /** Returns the memory of a fit with this many workers. */
  def of(plan: FitPlan, workers: Int): Footprint =
    parse(NativeRuntime.footprint(plan.footprint(workers))).extract[Footprint]
}
