package firesteel.prediction

import scala.jdk.CollectionConverters._

import firesteel.bridge.NativePredictor
import firesteel.data.BatchFiller
import firesteel.util.Resources
import org.apache.arrow.c.{ArrowArray, ArrowSchema, Data}
import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.complex.FixedSizeListVector
import org.apache.arrow.vector.{Float8Vector, VectorLoader, VectorSchemaRoot}

/** The outputs of one batch, in the order of the task's outputs. Valid until the next batch.
  *
  * @param root
  *   the native batch
  */
private[prediction] final class Outputs(root: VectorSchemaRoot) extends AutoCloseable {

  /** The number of rows. */
  def rows: Int = root.getRowCount

  /** The values of each output, `width` for each row. */
  val columns: Seq[OutputMatrix] = root.getFieldVectors.asScala.toSeq.map {
    case numbers: Float8Vector => OutputMatrix(numbers, 1)
    case lists: FixedSizeListVector =>
      OutputMatrix(lists.getDataVector.asInstanceOf[Float8Vector], lists.getListSize)
    case other => throw new IllegalStateException(s"a predictor gave a column ${other.getField}")
  }

  override def close(): Unit = root.close()
}

/** The numbers of one output of a batch, `width` for each row. */
private[prediction] final case class OutputMatrix(vector: Float8Vector, width: Int) {

  /** Returns the address of a row's numbers. */
  def address(row: Int): Long = vector.getDataBuffer.memoryAddress + row.toLong * width * 8
}

/** One call of a native predictor. */
private[prediction] object NativeCall {

  /** Predicts the rows of the filler's batch; the caller owns the outputs. */
  def apply(native: NativePredictor, filler: BatchFiller, allocator: BufferAllocator): Outputs =
    Resources.use(ArrowArray.allocateNew(allocator)) { inArray =>
      Resources.use(ArrowSchema.allocateNew(allocator)) { inSchema =>
        Resources.use(ArrowArray.allocateNew(allocator)) { outArray =>
          Resources.use(ArrowSchema.allocateNew(allocator)) { outSchema =>
            try {
              write(filler, allocator, inArray, inSchema)
              native.run(
                inArray.memoryAddress,
                inSchema.memoryAddress,
                outArray.memoryAddress,
                outSchema.memoryAddress
              )
              new Outputs(Data.importVectorSchemaRoot(allocator, outArray, outSchema, null))
            } finally {
              // Structures that native code has not taken.
              if (inArray.snapshot.release != 0) inArray.release()
              if (inSchema.snapshot.release != 0) inSchema.release()
            }
          }
        }
      }
    }

  private def write(
      filler: BatchFiller,
      allocator: BufferAllocator,
      array: ArrowArray,
      schema: ArrowSchema
  ): Unit =
    Resources.use(VectorSchemaRoot.create(filler.schema, allocator)) { root =>
      Resources.use(filler.finish())(new VectorLoader(root).load(_))
      Data.exportVectorSchemaRoot(allocator, root, null, array, schema)
    }
}
