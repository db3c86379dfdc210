package firesteel.train

import scala.util.control.NonFatal

import firesteel.bridge._
import firesteel.data.PartitionStream
import firesteel.plugin.{Configuration, NativeSetup}
import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.{SparkEnv, TaskContext, TaskKilledException}
import org.json4s.JsonAST.JObject
import org.json4s.jackson.JsonMethods.parse

/** What a task of a fit does with its partition: takes the rows into native memory and trains all epochs on them.
  *
  * @param common
  *   what the `WorkerSpec`s of all tasks have in common, the fit's secret among it
  * @param module
  *   the archive of a network in TorchScript
  * @param workers
  *   the workers of the fit
  * @param tasks
  *   the tasks that they are spread over
  */
private[train] final class WorkerTask(
    common: String,
    module: SentModule,
    workers: Int,
    tasks: Int
) extends (PartitionStream => String)
    with Serializable {

  /** Gives the workers' report. */
  override def apply(stream: PartitionStream): String = {
    NativeSetup.ensureLoaded()
    val context = TaskContext.get()
    val worker = NativeWorker.open(specification(stream.partition, context), module.bytes)
    var loaded = false
    try
      CancelWatch.during(context, worker) {
        try {
          stream.feed(address => worker.load(address))
          loaded = true
          worker.run()
        } catch {
          case error: Throwable => throw outcome(error, context, worker, loaded)
        }
      }
    finally worker.close()
  }

  override def toString: String = s"WorkerTask($workers workers in $tasks tasks)"

  private def specification(partition: Int, context: TaskContext): String = {
    val conf = SparkEnv.get.conf
    val own = FitPlan.ofTask(
      partition,
      context.taskAttemptId(),
      WorkerTask.workersIn(partition, workers, tasks),
      math.min(Configuration.Threads.get(conf), context.cpus()),
      Configuration.CacheMemory.get(conf),
      SparkPrivate.localDirectories
    )
    parse(common) match {
      case shared: JObject => FitPlan.text(JObject(TlsFiles.locatedIn(shared).obj ++ own.obj))
      case _ => throw new IllegalStateException("the specification of the workers is no object")
    }
  }

  /** What the task ends with. A kill, and a newer attempt in its place, are no failures to Spark; an error that every
    * retry would meet fails the fit at once: once it has its lease, the worker itself says so, and here what happens
    * before.
    */
  private def outcome(
      error: Throwable,
      context: TaskContext,
      worker: NativeWorker,
      loaded: Boolean
  ): Throwable =
    error match {
      case killed: TaskKilledException => killed
      case _: FencedException | _: TrainingCancelledException =>
        new TaskKilledException(error.getMessage)
      case _ if context.isInterrupted() => new TaskKilledException("the task was killed")
      case certain @ (_: InvalidSpecException | _: InvalidDataException |
          _: TrainingDivergedException) =>
        try if (!loaded) worker.abort(NativeErrors.codeOf(certain), certain.getMessage)
        catch { case NonFatal(unreachable) => certain.addSuppressed(unreachable) }
        certain
      case other => other
    }
}

private[train] object WorkerTask {

  /** How many of the workers a partition's task runs. */
  def workersIn(partition: Int, workers: Int, tasks: Int): Int =
    workers / tasks + (if (partition < workers % tasks) 1 else 0)
}
