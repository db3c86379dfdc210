package firesteel.fit

import java.util.concurrent.atomic.AtomicReference

import scala.util.control.NonFatal

import firesteel.bridge._
import firesteel.cluster.{BroadcastModule, TlsFiles}
import firesteel.data.PartitionStream
import firesteel.plugin.{Configuration, NativeSetup}
import firesteel.util.{Json, Resources}
import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.{SparkEnv, TaskContext, TaskKilledException}
import org.json4s.JsonAST.JObject
import org.json4s.jackson.JsonMethods.parse

/** The part of one fit that a task trains.
  *
  * @param common
  *   the common part of all tasks' `WorkerSpec`s, which contains the secret of the fit
  * @param module
  *   the archive of a TorchScript network
  * @param workers
  *   the number of workers of the fit
  * @param candidate
  *   the description of the fit, if it is one of several
  */
private[firesteel] final class WorkerJob(
    val common: String,
    val module: BroadcastModule,
    val workers: Int,
    candidate: Option[String]
) extends Serializable {

  /** True if the fit is a candidate of a search, which goes on without it if it diverges. */
  def isCandidate: Boolean = candidate.nonEmpty

  /** Returns a failure that names the fit, if it is one of several. */
  def withName(error: Throwable): Throwable =
    candidate.fold(error)(FitPlan.withCandidateName(_, error))
}

/** The task of a partition: loads the rows into native memory and trains all epochs of each fit on them.
  *
  * @param jobs
  *   the fits, which read the same columns
  * @param tasks
  *   the number of tasks of each fit's workers
  */
private[firesteel] final class WorkerTask(jobs: Seq[WorkerJob], tasks: Int)
    extends (PartitionStream => Seq[Option[String]])
    with Serializable {

  /** Returns the report of each fit's workers; none for a candidate that has diverged here. */
  override def apply(stream: PartitionStream): Seq[Option[String]] = {
    NativeSetup.ensureLoaded()
    val context = TaskContext.get()
    Resources.useAll(jobs)(open(_, stream.partition, context)) { workers =>
      var loaded = false
      CancelWatch.during(context, workers) {
        try {
          stream.feed(address => workers.head.load(address))
          workers.tail.foreach(_.share(workers.head))
          loaded = true
          if (jobs.exists(_.isCandidate)) sideBySide(workers, context)
          else workers.map(worker => Some(worker.run(context.stageId())))
        } catch {
          case error: Throwable => throw outcome(error, context, workers.head, loaded)
        }
      }
    }
  }

  override def toString: String = s"WorkerTask(${jobs.size} fits in $tasks tasks)"

  private def open(job: WorkerJob, partition: Int, context: TaskContext): NativeWorker =
    NativeWorker.open(specification(job, partition, context), job.module.bytes)

  /** Runs all workers, each on its own thread. If one fails, the others are cancelled and its error is thrown. A worker
    * that diverges ends alone, since its server knows of it.
    */
  private def sideBySide(workers: Seq[NativeWorker], context: TaskContext): Seq[Option[String]] = {
    val failure = new AtomicReference[Throwable]
    val reports = Array.fill(workers.size)(Option.empty[String])
    val threads = workers.indices.map { index =>
      val thread = new Thread(s"firesteel-candidate-${context.taskAttemptId()}-$index") {
        override def run(): Unit =
          try reports(index) = Some(workers(index).run(context.stageId()))
          catch {
            case _: TrainingDivergedException => ()
            case error: Throwable =>
              if (failure.compareAndSet(null, jobs(index).withName(error)))
                workers.foreach(_.cancel())
          }
      }
      thread.setDaemon(true)
      thread
    }
    try threads.foreach(_.start())
    catch {
      case error: Throwable =>
        workers.foreach(_.cancel())
        throw error
    } finally threads.foreach(CancelWatch.joinUninterrupted)
    Option(failure.get).foreach(throw _)
    reports.toSeq
  }

  private def specification(job: WorkerJob, partition: Int, context: TaskContext): String = {
    val conf = SparkEnv.get.conf
    val own = FitPlan.ofTask(
      partition,
      context.taskAttemptId(),
      WorkerTask.workersIn(partition, job.workers, tasks),
      math.max(1, math.min(Configuration.Threads.get(conf), context.cpus()) / jobs.size),
      Configuration.CacheMemory.get(conf),
      SparkPrivate.localDirectories
    )
    parse(job.common) match {
      case shared: JObject => Json.text(JObject(TlsFiles.locatedIn(shared).obj ++ own.obj))
      case _ => throw new IllegalStateException("the workers' specification is not a JSON object")
    }
  }

  /** Returns the error of the task. Spark does not count a kill, or an attempt that was replaced by a newer one, as a
    * failure. An error that every retry would meet fails the fit at once: the worker reports it itself once it has its
    * lease, and this method reports earlier ones.
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

private[firesteel] object WorkerTask {

  /** Returns the number of workers that a partition's task runs. */
  def workersIn(partition: Int, workers: Int, tasks: Int): Int =
    workers / tasks + (if (partition < workers % tasks) 1 else 0)
}
