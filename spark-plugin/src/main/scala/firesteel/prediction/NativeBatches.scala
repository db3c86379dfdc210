package firesteel.prediction

import firesteel.bridge.NativePredictor
import firesteel.data.{BatchFiller, BatchLimits}
import firesteel.plugin.NativeSetup
import firesteel.util.Resources
import org.apache.arrow.memory.BufferAllocator
import org.apache.spark.TaskContext
import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.sql.firesteel.SqlPrivate

/** The native batches of a task: the caller fills them, they are predicted, and all their Arrow memory is released. For
  * the task's thread.
  */
private[prediction] final class NativeBatches(task: PredictionTask, context: TaskContext)
    extends AutoCloseable {

  private val allocator: BufferAllocator = SqlPrivate.allocator(
    s"firesteel-prediction-${context.partitionId()}-${context.taskAttemptId()}"
  )
  private var predictor: Option[NativePredictor] = None
  private var outputs: Option[Outputs] = None
  private var closed = false
  private var wanted = NativeBatches.FirstRows

  /** The filler of the next batch. */
  val filler: BatchFiller =
    new BatchFiller(allocator, task.data, task.source, context.partitionId(), BatchLimits.Default)

  /** Starts a batch and releases the outputs of the previous one. The first batches are small, so that a query with a
    * limit ends soon.
    */
  def begin(): Unit = {
    SparkPrivate.killIfInterrupted(context)
    release()
    filler.begin(wanted)
    wanted = math.min(filler.capacity.toLong, wanted * 4L).toInt
  }

  /** Predicts the rows of the batch that was filled. */
  def predict(): Outputs = {
    val native = predictor.getOrElse {
      NativeSetup.ensureLoaded()
      val opened = NativePredictor.open(
        task.spec,
        () => task.model.value.module.orNull,
        () => task.model.value.weights
      )
      predictor = Some(opened)
      opened
    }
    val start = System.nanoTime()
    val result = NativeCall(native, filler, allocator)
    outputs = Some(result)
    task.nativeTime += System.nanoTime() - start
    task.numBatches += 1
    task.numOutputRows += result.rows.toLong
    result
  }

  private def release(): Unit = {
    outputs.foreach(_.close())
    outputs = None
  }

  override def close(): Unit = if (!closed) {
    closed = true
    Resources.use(allocator) { _ =>
      Resources.use(filler) { _ =>
        predictor.foreach(_.close())
        release()
      }
    }
  }
}

private[prediction] object NativeBatches {

  /** The number of rows of a task's first batch. */
  private val FirstRows = 64

  /** Returns the batches of the running task. They are closed at its end if not before. */
  def open(task: PredictionTask): NativeBatches = {
    val context = TaskContext.get()
    val batches = new NativeBatches(task, context)
    context.addTaskCompletionListener[Unit](_ => batches.close())
    batches
  }
}
