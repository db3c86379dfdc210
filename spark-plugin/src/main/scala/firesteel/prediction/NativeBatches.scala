package firesteel.prediction

import firesteel.bridge.NativePredictor
import firesteel.data.{BatchFiller, BatchLimits, Closing}
import org.apache.arrow.c.{ArrowArray, ArrowSchema, Data}
import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.complex.FixedSizeListVector
import org.apache.arrow.vector.{Float8Vector, VectorLoader, VectorSchemaRoot}
import org.apache.spark.TaskContext
import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.sql.firesteel.SqlPrivate

import scala.jdk.CollectionConverters._

/**
 * The outputs of one batch, in the order of the task's outputs. Valid until the next batch.
 *
 * @param root
 *   the native batch
 */
private[prediction] final class Outputs(root: VectorSchemaRoot) extends AutoCloseable {

  /** The rows. */
  def rows: Int = root.getRowCount

  /** For each output its values, `width` of them a row. */
  val columns: Seq[Doubles] = root.getFieldVectors.asScala.toSeq.map {
    case numbers: Float8Vector => Doubles(numbers, 1)
    case lists: FixedSizeListVector =>
      Doubles(lists.getDataVector.asInstanceOf[Float8Vector], lists.getListSize)
    case other => throw new IllegalStateException(s"a predictor gave a column ${other.getField}")
  }

  override def close(): Unit = root.close()
}

/** Numbers of a batch, `width` of them a row. */
private[prediction] final case class Doubles(vector: Float8Vector, width: Int) {

  /** Where a row's numbers lie. */
  def address(row: Int): Long = vector.getDataBuffer.memoryAddress + row.toLong * width * 8
}

/**
 * The native batches of a task: filled by the caller, predicted, and closed with all Arrow memory
 * given back. For the task's thread.
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

  /** What the next batch is filled with. */
  val filler: BatchFiller =
    new BatchFiller(allocator, task.data, task.source, context.partitionId(), BatchLimits.Default)

  /**
   * Starts a batch, with the outputs of the one before given back. The first batches are small, so
   * that a limit above is served soon.
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
      val opened = NativePredictor.open(task.spec, () => task.weights.value)
      predictor = Some(opened)
      opened
    }
    val start = System.nanoTime()
    val result = new Outputs(run(native))
    outputs = Some(result)
    task.nativeTime += System.nanoTime() - start
    task.numBatches += 1
    task.numOutputRows += result.rows.toLong
    result
  }

  private def run(native: NativePredictor): VectorSchemaRoot =
    Closing(ArrowArray.allocateNew(allocator)) { inArray =>
      Closing(ArrowSchema.allocateNew(allocator)) { inSchema =>
        Closing(ArrowArray.allocateNew(allocator)) { outArray =>
          Closing(ArrowSchema.allocateNew(allocator)) { outSchema =>
            try {
              write(inArray, inSchema)
              native.run(
                inArray.memoryAddress,
                inSchema.memoryAddress,
                outArray.memoryAddress,
                outSchema.memoryAddress
              )
              Data.importVectorSchemaRoot(allocator, outArray, outSchema, null)
            } finally {
              // Whatever nobody took.
              if (inArray.snapshot.release != 0) inArray.release()
              if (inSchema.snapshot.release != 0) inSchema.release()
            }
          }
        }
      }
    }

  private def write(array: ArrowArray, schema: ArrowSchema): Unit =
    Closing(VectorSchemaRoot.create(filler.schema, allocator)) { root =>
      Closing(filler.finish())(new VectorLoader(root).load(_))
      Data.exportVectorSchemaRoot(allocator, root, null, array, schema)
    }

  private def release(): Unit = {
    outputs.foreach(_.close())
    outputs = None
  }

  override def close(): Unit = if (!closed) {
    closed = true
    Closing(allocator) { _ =>
      Closing(filler) { _ =>
        predictor.foreach(_.close())
        release()
      }
    }
  }
}

private[prediction] object NativeBatches {

  /** The rows of a task's first batch. */
  private val FirstRows = 64

  /** The batches of the running task, closed at its end if not before. */
  def open(task: PredictionTask): NativeBatches = {
    val context = TaskContext.get()
    val batches = new NativeBatches(task, context)
    context.addTaskCompletionListener[Unit](_ => batches.close())
    batches
  }
}
